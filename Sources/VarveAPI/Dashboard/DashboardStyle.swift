/// The dashboard's look: one column on a telephone, layers of sediment on a screen, light or dark as the reader likes.

let dashboardStyle = #"""
    :root{color-scheme:light dark;--bg:#f6f3ec;--card:#fffdf8;--ink:#26221b;--dim:#7a7163;--line:#e4dccb;--a:#b5652b;
    --b:#d9a25f;--good:#2f7d4f;--warn:#a86a00;--bad:#b3261e;--code:#f1ebde}
    @media (prefers-color-scheme:dark){:root{--bg:#16140f;--card:#1f1c16;--ink:#ece5d6;--dim:#9c9280;--line:#353026;
    --a:#e08b4c;--b:#8f6331;--good:#6cc28d;--warn:#e5b04d;--bad:#ff8a80;--code:#2a261e}}
    *{box-sizing:border-box}
    [hidden]{display:none!important}
    body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}
    main,header>.top{max-width:1200px;margin:0 auto;padding:0 20px}
    header{border-bottom:1px solid var(--line);background:var(--card)}
    .strata{height:8px;background:linear-gradient(var(--a) 0 3px,var(--b) 3px 5px,var(--line) 5px 6px,var(--a) 6px 8px)}
    header>div.top{display:flex;align-items:center;gap:14px;padding-top:14px;padding-bottom:14px;flex-wrap:wrap}
    h1{font-size:20px;letter-spacing:.14em;margin:0;font-weight:700}
    h2{font-size:12px;text-transform:uppercase;letter-spacing:.1em;color:var(--dim);margin:0 0 12px;font-weight:600}
    #node{font-weight:600;overflow-wrap:anywhere}
    .push{margin-left:auto;color:var(--dim);font-size:13px}
    .pill{display:inline-block;padding:2px 12px;border-radius:99px;border:1px solid currentColor;font-size:13px;
    font-weight:600;color:var(--dim)}
    .pill.ready,.pill.live{color:var(--good)}
    .pill.starting,.pill.degraded,.pill.watching{color:var(--warn)}
    .pill.stopped,.pill.unreachable,.pill.silent{color:var(--bad)}
    td .pill{padding:0 9px;margin-right:8px}
    .note{border:1px solid var(--line);border-left:4px solid var(--warn);background:var(--card);border-radius:8px;
    padding:10px 16px;margin-top:16px;overflow-wrap:anywhere}
    .note.bad{border-left-color:var(--bad)}
    .note b{display:block}.note code{margin-right:10px}
    code,pre,.mono,textarea{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,monospace;font-size:13px}
    code{background:var(--code);border-radius:4px;padding:1px 6px}
    .figures{display:grid;grid-template-columns:repeat(5,1fr);gap:14px;margin:20px 0 14px}
    .card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;min-width:0}
    .figure b{display:block;font-size:25px;line-height:1.25;font-weight:600;font-variant-numeric:tabular-nums;
    white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
    .figure small,.sub{color:var(--dim);font-size:13px;overflow-wrap:anywhere}
    .figure h2{margin-bottom:4px}
    .columns{display:grid;grid-template-columns:2fr 1fr;gap:14px;margin-bottom:14px}
    #content>.card,form.note{margin-bottom:14px}
    .stale{opacity:.45}
    svg{display:block;width:100%;height:132px}
    svg rect{fill:var(--a)}svg rect.time{fill:var(--b)}svg rect:hover{opacity:.7}
    svg polyline{fill:none;stroke:var(--a);stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}
    svg line{stroke:var(--line);vector-effect:non-scaling-stroke}
    .axis{display:flex;justify-content:space-between;margin:2px 0 8px;font-variant-numeric:tabular-nums}
    .scroll{overflow:auto;max-height:420px}
    table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
    th{text-align:left;color:var(--dim);font-weight:600;font-size:13px;position:sticky;top:0;background:var(--card)}
    th,td{padding:5px 14px 5px 0;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}
    td{max-width:36em;overflow:hidden;text-overflow:ellipsis}
    tr:last-child td{border-bottom:0}
    .num{text-align:right}td.null{color:var(--dim);font-style:italic}
    textarea,input{width:100%;border:1px solid var(--line);border-radius:8px;background:var(--bg);color:var(--ink);
    padding:10px 12px;resize:vertical}
    textarea{min-height:76px;display:block}
    button{font:inherit;font-weight:600;border:0;border-radius:8px;padding:8px 20px;background:var(--a);color:#fff;
    cursor:pointer}
    button:disabled{opacity:.5;cursor:default}
    button.link{background:none;color:var(--a);padding:0;font-weight:500;text-align:left}
    textarea:focus-visible,input:focus-visible,button:focus-visible{outline:2px solid var(--a);outline-offset:2px}
    .bar{display:flex;gap:14px;align-items:center;margin:10px 0;flex-wrap:wrap}
    #fault{color:var(--bad);overflow-wrap:anywhere}
    #events{list-style:none;margin:0;padding:0;font-size:13px;color:var(--dim)}
    footer{color:var(--dim);font-size:13px;padding:8px 0 30px}
    a{color:var(--a)}
    @media (max-width:1000px){.figures{grid-template-columns:repeat(3,1fr)}}
    @media (max-width:760px){.columns{grid-template-columns:1fr}.figures{grid-template-columns:1fr 1fr;gap:10px}
    main,header>.top{padding-left:12px;padding-right:12px}.card{padding:12px 14px}.figure b{font-size:20px}
    .push{margin-left:0;width:100%}}
    """#
