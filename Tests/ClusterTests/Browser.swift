import Foundation
import Synchronization

/// A headless Chromium with one page, driven through its debugging pipe: messages of JSON that end with a NUL.
final class Browser: Sendable {
    /// Debian's names for it; nil where none is installed.
    static let program: String? = ["/usr/bin/chromium", "/usr/bin/chromium-headless-shell", "/usr/bin/google-chrome"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    private struct State {
        var number = 0
        var session: String?
        var pending = Data()
    }

    private let process: Process
    private let requests: FileHandle
    private let answers: FileHandle
    private let state = Mutex(State())

    /// Opens the page; `directory` takes the profile and is the caller's to remove.
    init(_ url: String, in directory: String, width: Int = 1280) throws {
        guard let program = Self.program else { throw NodeFailure("no chromium") }
        process = Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = [
            "-c", #"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#, program, "--headless",
            "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--user-data-dir=\(directory)/chromium",
            "--window-size=\(width),1000", "about:blank",
        ]
        process.standardInput = input
        process.standardOutput = output
        requests = input.fileHandleForWriting
        answers = output.fileHandleForReading
        try process.run()
        let target = try send("Target.createTarget", ["url": url])["targetId"] as? String ?? ""
        let attached = try send("Target.attachToTarget", ["targetId": target, "flatten": true])
        let session = attached["sessionId"] as? String
        state.withLock { $0.session = session }
    }

    /// What the expression gives in the page, as text.
    func evaluate(_ expression: String) throws -> String {
        let answer = try send("Runtime.evaluate", ["expression": "String(\(expression))", "returnByValue": true])
        return (answer["result"] as? [String: Any])?["value"] as? String ?? "nothing"
    }

    /// Waits until the expression is true in the page; throws with what the page shows when it never is.
    func wait(for expression: String) async throws {
        for _ in 0..<600 {
            if try evaluate(expression) == "true" { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw NodeFailure("not within a minute: \(expression)\n\(try evaluate("document.body.innerText"))")
    }

    private func send(_ method: String, _ parameters: [String: Any]) throws -> [String: Any] {
        let (number, session) = state.withLock { state in
            state.number += 1
            return (state.number, state.session)
        }
        var message: [String: Any] = ["id": number, "method": method, "params": parameters]
        if let session { message["sessionId"] = session }
        try requests.write(contentsOf: JSONSerialization.data(withJSONObject: message) + [0])
        while true {
            let answer = try JSONSerialization.jsonObject(with: next()) as? [String: Any] ?? [:]
            guard answer["id"] as? Int == number else { continue }
            guard let result = answer["result"] as? [String: Any] else { throw NodeFailure("chromium: \(answer)") }
            return result
        }
    }

    private func next() throws -> Data {
        try state.withLock { state in
            while true {
                if let end = state.pending.firstIndex(of: 0) {
                    defer { state.pending = Data(state.pending[state.pending.index(after: end)...]) }
                    return Data(state.pending[..<end])
                }
                let more = answers.availableData
                if more.isEmpty { throw NodeFailure("chromium ended") }
                state.pending += more
            }
        }
    }

    deinit {
        process.terminate()
        process.waitUntilExit()
    }
}
