// Applies the chosen theme. Runs before the first paint, so that the other theme does not flash.

try {
  const theme = localStorage.getItem("petstream.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without local storage, the page follows the system's theme.
}
