// Keeps a page true: fetches again what it shows when the server says that it changed.
(() => {
  const prefix = document.body.dataset.prefix;
  const run = document.body.dataset.run;
  const banner = document.getElementById("banner");
  const patience = 8000; // the server says something every two seconds
  let source = null, heard = Date.now(), waiting = new Set(), timer = 0;

  const say = (text, bad) => {
    banner.textContent = text;
    banner.classList.toggle("bad", Boolean(bad));
    banner.hidden = !text;
  };
  const trouble = () => document.getElementById("vitals")?.dataset.trouble || "";
  const calm = () => say(trouble(), Boolean(trouble()));

  const refresh = () => {
    timer = 0;
    const topics = waiting;
    waiting = new Set();
    for (const part of document.querySelectorAll("[data-live]")) {
      if (part.dataset.live.split(" ").some((topic) => topics.has(topic))) htmx.trigger(part, "live");
    }
  };
  const all = () => {
    for (const part of document.querySelectorAll(`[data-live]:not([data-live=""])`)) htmx.trigger(part, "live");
  };
  const changed = (topic) => {
    waiting.add(topic);
    if (!timer) timer = setTimeout(refresh, 60);
  };

  const open = () => {
    source = new EventSource(`${prefix}/live${run ? `?run=${run}` : ""}`);
    source.onopen = () => { heard = Date.now(); calm(); all(); }; // what changed before nobody told us
    source.onerror = () => say("The dashboard is out of reach; what you see may be old. Trying again…");
    for (const topic of ["runs", "events", "functions", "run", "tick"]) {
      source.addEventListener(topic, () => { heard = Date.now(); changed(topic); });
    }
    source.addEventListener("lost", (event) => {
      heard = Date.now();
      say(`Redis is out of reach; what you see may be old. ${JSON.parse(event.data).error}`, true);
    });
    source.addEventListener("back", () => {
      calm();
      if (document.getElementById("problem")?.dataset.status === "503") location.reload();
      all();
    });
  };
  const close = () => { source?.close(); source = null; };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); return; }
    if (!source) open();
  });
  setInterval(() => {
    if (source && Date.now() - heard > patience && banner.hidden) {
      say("Nothing was heard from the dashboard for a while; what you see may be old.");
    }
  }, 2000);
  addEventListener("pagehide", close);

  // What the reader opened stays open, and what is selected stays selected.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
    !(name === "open" && node.tagName === "DETAILS") && name !== "checked" && !(name === "class" && node.classList?.contains("at"));

  const local = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const exact = new Date(time.dateTime);
      if (time.classList.contains("local")) time.textContent = `here ${exact.toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" })}`;
      time.title = `${new Date(time.dateTime).toLocaleString()}\n${time.getAttribute("datetime").replace("T", " ")}`;
    }
  };
  document.addEventListener("htmx:load", (event) => {
    local(event.target);
    if (event.target.id === "vitals") calm();
  });
  local(document);
  calm();
  if (!document.hidden) open();
})();
