// Chooses the theme before anything is painted.
(() => {
  const themes = ["system", "light", "dark"];
  const chosen = () => { try { return localStorage.getItem("qflow-theme") || "system"; } catch { return "system"; } };
  const apply = (theme) => {
    if (theme === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", theme);
    const name = document.getElementById("theme-name");
    if (name) name.textContent = theme;
  };
  apply(chosen());
  document.addEventListener("DOMContentLoaded", () => {
    apply(chosen());
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = themes[(themes.indexOf(chosen()) + 1) % themes.length];
      try { localStorage.setItem("qflow-theme", next); } catch { /* private windows forget */ }
      apply(next);
    });
  });
})();
