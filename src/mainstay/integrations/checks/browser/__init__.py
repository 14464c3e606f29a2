"""Pages in a real Chromium: what a visitor does, what the page shows, and how long it takes."""
