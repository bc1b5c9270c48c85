"""The page's style sheet, for phones and wide screens, light, dark and print.

May touch: nothing.
"""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ground: #f4f5f7; --ink: #1c2230; --soft: #566074; --faint: #9aa3b2;
  --line: #dfe3ea;
  --yes: #0a6b3d; --yes-ground: #dcf3e6; --no: #14549c; --no-ground: #deebfa; --unsure: #7a4d00;
  --unsure-ground: #fbeccb;
  --c1: #1f5fbf; --c2: #c2570c; --c3: #157a5b; --c4: #7a4fb5; --c5: #b0336b; --c6: #5f6b1a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #171b24; --ground: #0f1218; --ink: #e6e9f0; --soft: #a6b0c2; --faint: #6b7588;
    --line: #2b3240;
    --yes: #7fe0ac; --yes-ground: #12382a; --no: #9cc7ff; --no-ground: #16304f; --unsure: #ffd27d;
    --unsure-ground: #40300f;
    --c1: #6ea8ff; --c2: #ff9a57; --c3: #5fd0a8; --c4: #b99af0; --c5: #f08ab5; --c6: #c9d46a;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 4rem; }
header { padding: 1rem 0 0.5rem; }
h1 { font-size: clamp(1.5rem, 4.5vw, 2.1rem); line-height: 1.2; margin: 0 0 0.4rem;
  letter-spacing: -0.01em; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 0.4rem; letter-spacing: -0.005em; }
h3 { font-size: 1.02rem; line-height: 1.35; margin: 0; }
p { margin: 0.45rem 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.small { font-size: 0.875rem; }
.headline { font-size: 1.1rem; border-left: 4px solid var(--c1); padding: 0.3rem 0 0.3rem 0.9rem;
  margin: 1rem 0; }
.headline.none { border-color: var(--c2); }
.cards { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 310px), 1fr)); margin: 1rem 0; }
.pair { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); align-items: start;
  margin: 0.8rem 0; }
.trio { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 310px), 1fr)); align-items: start;
  margin: 0.8rem 0; }
.switches { list-style: none; margin: 0.8rem 0; padding: 0.3rem 1.2rem; }
.switches li { display: grid; grid-template-columns: 15rem 8rem 1fr; gap: 0.2rem 1rem;
  padding: 0.7rem 0;
  border-bottom: 1px solid var(--line); }
.switches li:last-child { border-bottom: 0; }
.switches p { margin: 0; }
.switches div code, .switches .small { display: block; }
@media (max-width: 720px) { .switches li { grid-template-columns: 1fr; } }
.pair .scroll { margin: 0; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.1rem 1.2rem; min-width: 0; }
.answer { display: flex; flex-direction: column; gap: 0.55rem; }
.answer p { margin: 0; }
.badge { align-self: flex-start; font-weight: 650; border-radius: 999px; padding: 0.18rem 0.85rem; }
.badge.yes { color: var(--yes); background: var(--yes-ground); }
.badge.no { color: var(--no); background: var(--no-ground); }
.badge.unsure { color: var(--unsure); background: var(--unsure-ground); }
.big { font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; margin: 0 0 0.5rem; }
.plot { display: block; width: 100%; height: auto; }
.plot text { font-family: inherit !important; }
.bar { display: block; width: 100%; height: 46px; }
.bar text { font-size: 11px; fill: var(--soft); }
.scroll { overflow-x: auto; background: var(--paper); border: 1px solid var(--line);
  border-radius: 12px; margin: 0.8rem 0; }
.scroll:focus-visible { outline: 2px solid var(--c1); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.5rem 0.8rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
tbody tr:last-child td, tbody tr:last-child th { border-bottom: 0; }
th { font-weight: 600; }
thead th { color: var(--soft); font-size: 0.82rem; }
tr.part th { color: var(--soft); font-style: italic; font-weight: 400; background: var(--ground); }
th:first-child, td:first-child, .text { text-align: left; }
td.wrap { white-space: normal; min-width: 18rem; text-align: left; }
code { font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
td code { white-space: nowrap; }
details { background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 0.7rem 1.1rem; margin: 0.7rem 0; }
summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
summary .times { display: inline-block; min-width: 4.2rem; color: var(--c1);
  font-variant-numeric: tabular-nums; }
.facts { display: grid; align-content: start; gap: 0.1rem 1.2rem; grid-template-columns: auto 1fr;
  margin: 0.6rem 0; font-size: 0.92rem; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.override { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); }
.behind { background: none; border-width: 1px 0 0; border-radius: 0; padding: 0.7rem 0 0; }
.behind summary { color: var(--soft); }
.explain { min-width: 0; }
.explain-title { margin: 1.1rem 0 0.2rem; font-size: 1rem; }
.explain-table td:not(.number), .explain-table th:not(.number) { text-align: left; }
.explain-table td:not(.number) { white-space: normal; min-width: 7rem; }
.explain-table td:last-child:not(.number) { min-width: 14rem; }
.explain-legend { color: var(--soft); font-size: 0.875rem; }
.explain-scroll { overflow-x: auto; }
.explain-decay { display: block; width: 100%; height: auto; }
footer { margin-top: 3rem; color: var(--soft); font-size: 0.875rem; }
@media (max-width: 480px) { .card { padding: 0.95rem 1rem; } th, td { padding: 0.45rem 0.6rem; } }
@media print {
  :root { --ground: #ffffff; }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .card, details, figure, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  td.wrap { min-width: 0; }
  table { font-size: 8.5pt; }
  th, td { padding: 0.25rem 0.4rem; white-space: normal; }
}
"""
