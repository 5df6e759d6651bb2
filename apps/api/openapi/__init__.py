"""The API's description: `document.py` puts it together; its rows stand beside the views they describe."""
