import Testing
import VarveClient
import VarveModel

/// The dashboard in a real browser, over a real node.
@Suite(
    .serialized,
    .enabled(if: Browser.program != nil, "no Chromium is installed (Debian: apt-get install chromium)"))
struct DashboardTests {
    private func sections(_ directory: String) -> String {
        "log: !Local { path: \(directory)/log }\nstorage: !Local { path: \(directory)/storage }"
    }

    private func put(_ node: NodeProcess, _ doc: String) async throws {
        var transaction = Transaction()
        try transaction.put(into: "users", try parseJSON(doc))
        _ = try await node.client.submit(transaction)
    }

    @Test func itShowsLiveFiguresAndRunsTheQueryOfItsFragment() async throws {
        try await withScratch { directory in
            let node = try NodeProcess("n1", in: directory, sections(directory))
            try await node.startAndWait()
            try await put(node, #"{"_id":"ada","name":"<img src=x onerror=document.title='owned'><b>Ada</b>"}"#)
            let browser = try Browser("\(node.url)/#sql=SELECT%20name%20FROM%20users", in: directory)
            try await browser.wait(for: "document.body.dataset.query === 'done'")
            #expect(try browser.evaluate("document.getElementById('state').textContent") == "ready")
            #expect(try browser.evaluate("document.getElementById('node').textContent") == "n1")
            let shown = try browser.evaluate("document.querySelector('#resultBody td').textContent")
            #expect(shown.contains("<b>Ada</b>"))
            #expect(try browser.evaluate("document.querySelectorAll('img, td b').length") == "0")
            let before = try browser.evaluate("document.getElementById('applied').textContent")
            try await put(node, #"{"_id":"eve"}"#)
            try await browser.wait(for: "document.getElementById('applied').textContent !== '\(before)'")
            try await browser.wait(for: "document.getElementById('tables').textContent.startsWith('users2')")
        }
    }

    @Test func itSurvivesARestartAndSaysThatTheNodeDoesNotAnswer() async throws {
        try await withScratch { directory in
            let node = try NodeProcess("n1", in: directory, sections(directory))
            try await node.startAndWait()
            let browser = try Browser(node.url, in: directory)
            try await browser.wait(for: "document.body.dataset.state === 'ready'")
            node.kill()
            try await browser.wait(for: "document.body.dataset.state === 'unreachable'")
            #expect(try browser.evaluate("document.getElementById('notes').textContent").contains("does not answer"))
            try await node.startAndWait()
            try await browser.wait(for: "document.body.dataset.state === 'ready'")
            #expect(try browser.evaluate("document.getElementById('notes').textContent") == "")
        }
    }

    @Test func itAsksForTheTokenAndGoesOnWithIt() async throws {
        try await withScratch { directory in
            let node = try NodeProcess("n1", in: directory, sections(directory), http: "token: s3cret-value")
            try await node.startAndWait()
            let browser = try Browser(node.url, in: directory, width: 400)
            try await browser.wait(for: "!document.getElementById('login').hidden")
            _ = try browser.evaluate(
                "(document.getElementById('token').value = 's3cret-value', document.querySelector('#login button').click())"
            )
            try await browser.wait(for: "document.body.dataset.state === 'ready'")
            // Nothing sticks out to the side.
            #expect(try browser.evaluate("document.documentElement.scrollWidth <= innerWidth") == "true")
        }
    }
}
