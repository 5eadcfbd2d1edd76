// Runs before the first paint, so that a chosen theme does not flash in the other one. `state/theme.ts` writes what this reads.
(function () {
  try {
    var theme = localStorage.getItem("parley.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Storage is blocked: the system's theme it is.
  }
})();
