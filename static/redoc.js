// ReDoc over /openapi.json: to read. No search worker and no fonts from elsewhere.
window.addEventListener("DOMContentLoaded", () => {
  const system = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
  const options = {
    disableSearch: true,
    hideDownloadButton: true,
    expandResponses: "200",
    theme: {
      colors: { primary: { main: "#0b6e63" } },
      typography: { fontFamily: system, headings: { fontFamily: system } },
    },
  };
  Redoc.init("/openapi.json", options, document.getElementById("redoc"));
});
