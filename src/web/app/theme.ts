// Runs before the first paint, and nothing else does: whoever chose a theme must not see the other one flash by.

try {
  const theme = localStorage.getItem("petstream.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing for us follows the system.
}
