import Foundation

/// Which optional parts of the tests ran, and why the others did not: one line for each, in the file that
/// `VARVE_TEST_REPORT` names, which `make test` prints at its end. Without that variable nothing is written.
package enum TestReport {
    private static let lock = NSLock()

    /// Notes `part: text`. A later note on the same part replaces an earlier one.
    package static func note(_ part: String, _ text: String) {
        guard let path = ProcessInfo.processInfo.environment["VARVE_TEST_REPORT"], !path.isEmpty else { return }
        lock.withLock {
            let before = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            let others = before.split(separator: "\n").filter { !$0.hasPrefix(part + ": ") }
            let lines = others.map(String.init) + ["\(part): \(text)"]
            try? Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: path), options: .atomic)
        }
    }
}
