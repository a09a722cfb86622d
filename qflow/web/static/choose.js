// Selecting runs: what the buttons above the list are about.
(() => {
  const told = document.getElementById("chosen");
  const boxes = () => [...document.querySelectorAll('input[form="choice"]')];
  const tell = () => {
    const all = boxes(), on = all.filter((box) => box.checked).length;
    told.textContent = on ? `${on} selected:` : "All that match:";
    const whole = document.getElementById("choose-all");
    if (whole) {
      whole.checked = on > 0 && on === all.length;
      whole.indeterminate = on > 0 && on < all.length;
    }
  };
  document.addEventListener("change", (event) => {
    if (event.target.id === "choose-all") for (const box of boxes()) box.checked = event.target.checked;
    tell();
  });
  document.addEventListener("htmx:afterSettle", tell);
  tell();
})();
