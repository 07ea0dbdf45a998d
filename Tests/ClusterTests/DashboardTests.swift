import Foundation
import Testing
import VarveClient
import VarveModel
import VarveWire

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
            #expect(try browser.evaluate("document.getElementById('nodes').textContent").hasPrefix("n1ready0-"))
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

    @Test func itSaysThatItsNodeIsStartingAndWhy() async throws {
        try await withScratch { directory in
            let port = try freePort()
            let node = try NodeProcess(
                "n1", in: directory,
                "log: !Kafka { bootstrapServers: \"127.0.0.1:\(port)\", topic: x }\nstorage: !Local { path: \(directory)/s }"
            )
            try node.start()
            try await node.waitUntilItListens()
            let browser = try Browser(node.url, in: directory)
            try await browser.wait(for: "document.body.dataset.state === 'starting'")
            #expect(try browser.evaluate("document.getElementById('notes').textContent").contains("does not serve yet"))
            try await browser.wait(for: "document.getElementById('notes').textContent.includes('LOG_UNREACHABLE')")
            #expect(
                try browser.evaluate("document.getElementById('notes').textContent").contains(
                    "docs/runbooks/log-access.md"))
            node.stop()
        }
    }

    @Test func itSaysThatItsNodeFailsAndThenThatItHasStopped() async throws {
        try await withScratch { directory in
            let node = try NodeProcess("n1", in: directory, sections(directory))
            try await node.startAndWait()
            try await put(node, #"{"_id":"ada"}"#)
            _ = try await node.client.flush()
            let browser = try Browser(node.url, in: directory)
            try await browser.wait(for: "document.querySelectorAll('#blocks rect').length === 1")
            #expect(try browser.evaluate("document.getElementById('blocksTo').textContent").hasSuffix(" UTC"))
            #expect(try browser.evaluate("document.getElementById('blocksFrom').textContent").contains(":"))

            // Its storage goes away, as a mount does.
            try FileManager.default.moveItem(atPath: "\(directory)/storage", toPath: "\(directory)/away")
            try await put(node, #"{"_id":"eve"}"#)
            // It cannot be adopted, and is asked for until it is cut: one that comes too late is taken back.
            while try await node.client.status().frozenBlocks == 0 {
                _ = try? await node.client.flush(timeout: .milliseconds(200))
            }
            try await browser.wait(for: "document.body.dataset.state === 'degraded'")
            #expect(
                try browser.evaluate("document.getElementById('notes').textContent").contains("STORAGE_UNREACHABLE"))

            // It comes back with something else where the next block belongs.
            let blocks = "\(directory)/storage/blocks/e0000/"
            try Data("no manifest".utf8).write(
                to: URL(filePath: "\(directory)/away/blocks/e0000/b0000000000000001.cbor"))
            try FileManager.default.moveItem(atPath: "\(directory)/away", toPath: "\(directory)/storage")
            try await browser.wait(for: "document.getElementById('notes').textContent.includes('BLOCK_CORRUPT')")
            #expect(try browser.evaluate("document.body.dataset.state") == "degraded")

            // Then with another block.
            let first = try Data(contentsOf: URL(filePath: blocks + "b0000000000000000.cbor"))
            var other = try Manifest.decode(Bytes(Array(first)))
            other.number = BlockNumber(1)
            try Data(other.encoded().array).write(
                to: URL(filePath: blocks + "b0000000000000001.cbor"), options: .atomic)
            try await browser.wait(for: "document.body.dataset.state === 'stopped'")
            let notes = try browser.evaluate("document.getElementById('notes').textContent")
            #expect(notes.contains("has stopped") && notes.contains("DIVERGENCE"))
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
