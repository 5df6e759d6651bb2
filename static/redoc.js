// ReDoc over /openapi.json: to read. No search worker, no fonts and no pictures from elsewhere: its makers' mark would be
// asked for there each time, so pictures of other origins get no address.
const isOurs = (address) => new URL(address, location).origin === location.origin;
const source = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
Object.defineProperty(HTMLImageElement.prototype, "src", {
  ...source,
  set(address) { if (isOurs(address)) source.set.call(this, address); },
});
HTMLImageElement.prototype.setAttribute = function (name, value) {
  if (name !== "src" || isOurs(value)) Element.prototype.setAttribute.call(this, name, value);
};
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
