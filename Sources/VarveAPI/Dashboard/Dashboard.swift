/// The page at `/`: one document without anything from outside, which asks its own node by the public routes.
///
/// The page holds no data, so it is served without the token and asks for that itself. The policy in its header
/// permits exactly the script and the style of this page by their digests; so even markup that found its way into the
/// page could not run.

import VarveHTTPServer
import VarveModel

enum Dashboard {
    static let response = Response(
        status: 200,
        headers: [
            ("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-cache"),
        ], body: Array(page.utf8))

    static let policy =
        "default-src 'none'; script-src '\(source(script))'; style-src '\(source(style))'; connect-src 'self'; "
        + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    // With the line breaks the elements have around them: the digest is of the whole content.
    private static let script = "\n\(dashboardScript)\n"
    private static let style = "\n\(dashboardStyle)\n"

    private static func source(_ text: String) -> String {
        var encoded: [UInt8] = []
        Digest(of: Array(text.utf8)).bytes.withUnsafeBytes { base64(of: $0, into: &encoded) }
        return "sha256-" + String(decoding: encoded, as: UTF8.self)
    }

    static let page = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width,initial-scale=1">
        <title>Varve</title>
        <link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
        %3Cpath fill='%23b5652b' d='M1 2h14v4H1zM1 10h14v4H1z'/%3E%3Cpath fill='%23d9a25f' d='M1 7h14v2H1z'/%3E%3C/svg%3E">
        <style>\(style)</style>
        </head>
        <body>
        <header>
        <div class="strata"></div>
        <div class="top"><h1>VARVE</h1><span id="node"></span><span id="state" class="pill" role="status">asking…</span>
        <span class="push"><span id="version"></span> <span id="clock"></span></span></div>
        </header>
        <main>
        <noscript><p class="note">This page needs JavaScript. The same at a terminal: <code>varve status --watch</code></p>
        </noscript>
        <form id="login" class="note" hidden>
        <label for="token"><b>This node asks for a token (http.token)</b></label>
        <div class="bar"><input id="token" type="password" autocomplete="off" required><button>Go on</button></div>
        <span id="loginFault"></span>
        <span class="sub">Kept in this browser tab only.</span>
        </form>
        <div id="content">
        <div id="notes" aria-live="polite"></div>
        <div id="live">
        <div class="figures">
        \(figure("applied", "Applied"))\(figure("lag", "Lag"))\(figure("rpo", "RPO"))\(figure("open", "Open block"))\
        \(figure("adopted", "Newest block"))
        </div>
        <div class="columns">
        <section class="card"><h2>Blocks over time</h2>
        <svg id="blocks" viewBox="0 0 600 132" preserveAspectRatio="none" role="img"
        aria-label="Rows of the newest blocks over time">
        </svg><div class="axis sub"><span id="blocksFrom"></span><span id="blocksMiddle"></span><span id="blocksTo"></span>
        </div><div id="blocksSub" class="sub"></div></section>
        <section class="card"><h2>Records applied</h2>
        <svg id="rate" viewBox="0 0 600 132" preserveAspectRatio="none" role="img" aria-label="Records applied a second">
        </svg><div id="rateSub" class="sub"></div></section>
        </div>
        </div>
        <section class="card"><h2>Nodes</h2><div class="scroll"><table>
        <thead><tr><th>node<th>state<th>applied<th class="num">newest block<th>heartbeat<th>address<th>version</tr></thead>
        <tbody id="nodes"></tbody></table></div></section>
        <section class="card"><h2>Query</h2>
        <form id="ask">
        <textarea id="sql" spellcheck="false" aria-label="SQL" placeholder="SELECT … FROM … LIMIT 50"></textarea>
        <div class="bar"><button id="run">Run</button><span class="sub">Ctrl+Enter</span>
        <span id="resultSub" class="sub" aria-live="polite"></span></div>
        </form>
        <div id="fault" role="alert"></div>
        <div class="scroll"><table><thead id="resultHead"></thead><tbody id="resultBody"></tbody></table></div>
        </section>
        <div class="columns below">
        <section class="card"><h2>Tables</h2><div class="scroll"><table>
        <thead><tr><th>name<th class="num">rows<th class="num">columns</tr></thead><tbody id="tables"></tbody></table></div>
        </section>
        <section class="card"><h2>Epochs</h2><div class="scroll"><table>
        <thead><tr><th>epoch<th>began<th>log<th>end</tr></thead><tbody id="epochs"></tbody></table></div></section>
        </div>
        <section class="card"><h2>Log and chains</h2><div class="mono sub" id="log"></div>
        <div class="mono sub" id="chains"></div>
        <div class="sub">Nodes at the same position show the same chains.</div></section>
        <section class="card"><h2>Seen since this page was opened</h2><ul id="events"></ul></section>
        </div>
        <footer>This page shows the node it came from; all nodes at once: <code>varve status --watch --url … --url …</code>
        </footer>
        </main>
        <script>\(script)</script>
        </body>
        </html>

        """

    private static func figure(_ id: String, _ title: String) -> String {
        #"<div class="card figure"><h2>\#(title)</h2><b id="\#(id)">–</b><small id="\#(id)Sub"></small></div>"#
    }
}
