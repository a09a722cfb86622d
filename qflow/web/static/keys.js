// The keyboard: lines, pages, the palette; and copying.
(() => {
  const prefix = document.body.dataset.prefix;
  const palette = document.getElementById("palette");
  const text = document.getElementById("palette-text");
  const list = document.getElementById("palette-list");
  const help = document.getElementById("help");
  let going = false, workflows = null, ids = [], asked = 0;

  const lines = () => [...document.querySelectorAll("main tr[data-href]")];
  const step = (by) => {
    const all = lines();
    if (!all.length) return;
    const now = all.findIndex((line) => line.classList.contains("at"));
    const next = Math.max(0, Math.min(all.length - 1, now < 0 ? (by > 0 ? 0 : all.length - 1) : now + by));
    if (now >= 0) all[now].classList.remove("at");
    all[next].classList.add("at");
    all[next].scrollIntoView({ block: "nearest" });
    all[next].querySelector("a")?.focus({ preventScroll: true });
  };

  const pages = () => [...document.querySelectorAll("[data-go]")].map((link) => ({ name: link.querySelector("span").textContent, kind: "page", path: link.getAttribute("href") }));
  const draw = () => {
    const wanted = text.value.trim().toLowerCase();
    const named = [...pages(), ...(workflows || [])].filter((each) => each.name.toLowerCase().includes(wanted)).slice(0, 12);
    const found = [...ids, ...named];
    if (wanted) found.push({ name: text.value.trim(), kind: "search runs", path: `${prefix}/runs?q=${encodeURIComponent(text.value.trim())}` });
    list.replaceChildren(...found.map((each, at) => {
      const item = document.createElement("li"), link = document.createElement("a"), kind = document.createElement("span");
      item.setAttribute("role", "option");
      link.href = each.path;
      link.textContent = each.name;
      kind.textContent = each.kind;
      kind.className = "dim";
      link.append(kind);
      link.classList.toggle("at", at === 0);
      item.append(link);
      return item;
    }));
  };
  const look = async () => {
    const wanted = text.value.trim();
    if (wanted.length < 4 || /\s/.test(wanted)) return;
    const reply = await fetch(`${prefix}/api/v1/find?q=${encodeURIComponent(wanted)}`);
    if (!reply.ok || wanted !== text.value.trim()) return;
    ids = (await reply.json()).found.map((each) => ({ name: each.id, kind: `${each.kind} ${each.told}`, path: prefix + each.path }));
    draw();
  };
  const find = async () => {
    text.value = "";
    ids = [];
    draw();
    palette.showModal();
    if (workflows) return;
    const reply = await fetch(`${prefix}/api/v1/functions`);
    if (!reply.ok) return;
    workflows = (await reply.json()).functions.map((each) => ({ name: each.id, kind: "workflow", path: `${prefix}/workflows/${each.id}` }));
    draw();
  };
  text.addEventListener("input", () => {
    ids = [];
    draw();
    clearTimeout(asked);
    asked = setTimeout(look, 150);
  });
  palette.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll("a")];
    const now = all.findIndex((link) => link.classList.contains("at"));
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && all.length) {
      event.preventDefault();
      all[now]?.classList.remove("at");
      const next = all[(now + by + all.length) % all.length];
      next.classList.add("at");
      next.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && now >= 0) {
      event.preventDefault();
      location.href = all[now].href;
    }
  });
  document.getElementById("find").addEventListener("click", find);

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      find();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (going) {
      going = false;
      document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
      return;
    }
    const at = document.querySelector("tr.at");
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    else if (event.key === "Enter" && at && event.target === document.body) location.href = at.dataset.href;
    else if (event.key === "g") going = true;
    else if (event.key === "?") help.showModal();
    else if (event.key === "/") {
      event.preventDefault();
      const box = document.querySelector("[data-search]");
      if (box) box.focus(); else find();
    }
  });

  const copied = async (button, value) => {
    try { await navigator.clipboard.writeText(value); } catch { return; }
    const before = button.lastChild.textContent;
    button.lastChild.textContent = "Copied";
    setTimeout(() => { button.lastChild.textContent = before; }, 1200);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) { copied(button, button.closest(".payload").querySelector("pre").textContent); return; }
    if (event.target.closest("a, button, input, summary")) return;
    const line = event.target.closest("tr[data-href]");
    if (line && !String(getSelection())) location.href = line.dataset.href;
  });
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
})();
