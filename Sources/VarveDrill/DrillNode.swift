// One `varve node` process of a drill: started, killed, stopped, and listened to.

import Glibc
import Synchronization
import VarveClient
import VarveHarness
import VarveModel
import VarveWire

package final class DrillNode: Sendable {
    let name: String
    let url: String
    let configuration: String
    let output: String
    private let process = Mutex<ChildProcess?>(nil)
    /// How much of its output was there when the drill began to listen.
    private let heard = Mutex(0)

    init(name: String, port: Int, in directory: String) {
        self.name = name
        url = "http://127.0.0.1:\(port)"
        configuration = "\(directory)/\(name).yaml"
        output = "\(directory)/\(name).log"
    }

    /// Tries once, and waits for nothing.
    var client: Client {
        get throws(VarveError) {
            try Client(ClientOptions(urls: [url], patience: .zero, answerTimeout: .seconds(15)))
        }
    }

    var isRunning: Bool { process.withLock { $0 }.map { $0.exit == nil } ?? false }
    var processID: pid_t? { process.withLock { $0 }.flatMap { $0.exit == nil ? $0.id : nil } }

    func start(_ site: DrillSite) throws(VarveError) {
        let child = try ChildProcess(
            site.program, ["node", "--config", configuration] + (site.keeps ? [] : ["--stop-with-input"]),
            environment: site.environment, output: output)
        process.withLock { $0 = child }
    }

    /// True when it serves; false when it ended instead.
    func isReady(within limit: Duration) async throws -> Bool {
        let deadline = ContinuousClock.now + limit
        let client = try client
        while true {
            if await client.readiness() == nil { return true }
            if !isRunning { return false }
            guard ContinuousClock.now < deadline else {
                throw DrillFailure("\(name) is not ready after \(limit): \(lastLine)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// In order; comes back when it has ended.
    func stop() async { await process.withLock { $0 }?.end(within: .seconds(20)) }

    /// SIGKILL: nothing is written or closed any more.
    func kill() async {
        guard let child = process.withLock({ $0 }) else { return }
        child.send(SIGKILL)
        _ = await child.wait()
    }

    // MARK: What it says

    /// What it says from now on is news.
    func listen() { heard.withLock { $0 = text.utf8.count } }

    /// What it has said since.
    var news: String { String(decoding: Array(text.utf8).dropFirst(heard.withLock { $0 }), as: UTF8.self) }

    var lastLine: String { text.split(separator: "\n").last.map(String.init) ?? "it left no output" }

    private var text: String { (try? TextFile.read(output)) ?? "" }
}
