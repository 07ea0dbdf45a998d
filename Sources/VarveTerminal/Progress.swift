// Progress of long work: one line on a terminal's standard error, redrawn at most ten times a second; nothing else.

import Synchronization

/// What has been done so far, and how that reads.
package struct Progress: Sendable, Equatable {
    package var label: String
    package var bytes: Int
    /// nil when nobody knows (standard input).
    package var bytesTotal: Int?
    package var documents: Int
    package var elapsed: Duration

    package init(label: String, bytes: Int = 0, bytesTotal: Int? = nil, documents: Int = 0, elapsed: Duration = .zero) {
        self.label = label
        self.bytes = bytes
        self.bytesTotal = bytesTotal
        self.documents = documents
        self.elapsed = elapsed
    }

    package var documentsPerSecond: Double {
        elapsed > .zero ? Double(documents) / (elapsed / .seconds(1)) : 0
    }

    /// By the bytes that are left, at the pace so far; nil before there is one.
    package var timeLeft: Duration? {
        guard let bytesTotal, bytes > 0, elapsed > .zero else { return nil }
        return .seconds(Double(max(0, bytesTotal - bytes)) / Double(bytes) * (elapsed / .seconds(1)))
    }

    /// `packages [#####-----]  50%  13.6 of 27.1 MiB  28,340 documents  14,200/s  0:03 left`, no wider than `width`.
    package func line(width: Int) -> String {
        var parts: [String] = []
        let done: Double? = bytesTotal.map { $0 > 0 ? min(1, Double(bytes) / Double($0)) : 1 }
        if let done, let bytesTotal {
            let percent = String(Int(done * 100))
            parts.append(String(repeating: " ", count: 3 - percent.count) + percent + "%")
            parts.append("\(Quantity.bytes(bytes)) of \(Quantity.bytes(bytesTotal))")
        } else {
            parts.append(Quantity.bytes(bytes))
        }
        parts.append("\(Quantity.count(documents)) documents")
        parts.append(Quantity.rate(documentsPerSecond))
        if let timeLeft { parts.append("\(Quantity.clock(timeLeft)) left") }
        let text = parts.joined(separator: "  ")
        let name = printable(label)
        let room = width - displayWidth(name) - displayWidth(text) - 5
        guard let done, room >= 5 else { return truncated("\(name)  \(text)", to: width) }
        let cells = min(room, 30)
        let full = Int(done * Double(cells))
        let bar = String(repeating: "#", count: full) + String(repeating: "-", count: cells - full)
        return "\(name) [\(bar)] \(text)"
    }

    /// For the end: `packages  63,440 documents, 27.1 MiB in 4.5 s (14,200/s)`.
    package var summary: String {
        "\(printable(label))  \(Quantity.count(documents)) documents, \(Quantity.bytes(bytes)) in "
            + "\(Quantity.time(elapsed)) (\(Quantity.rate(documentsPerSecond)))"
    }
}

/// Draws `Progress`. Where `width` is nil, which is where standard error is no terminal, it draws nothing.
package final class ProgressBar: Sendable {
    private struct State {
        var progress: Progress
        var lastDrawn: Duration?
        var ended = false
    }

    private let state: Mutex<State>
    private let width: @Sendable () -> Int?
    private let elapsed: @Sendable () -> Duration
    private let draw: @Sendable (String) -> Void

    private static let redrawInterval: Duration = .milliseconds(100)

    /// On standard error.
    package convenience init(
        label: String, bytesTotal: Int? = nil, began start: ContinuousClock.Instant = ContinuousClock.now
    ) {
        self.init(
            label: label, bytesTotal: bytesTotal, width: { Terminal.width(Terminal.standardError) },
            elapsed: { ContinuousClock.now - start },
            // A terminal that went away is no reason to stop the work.
            draw: { text in try? Output.error.write(text) })
    }

    package init(
        label: String, bytesTotal: Int?, width: @escaping @Sendable () -> Int?,
        elapsed: @escaping @Sendable () -> Duration, draw: @escaping @Sendable (String) -> Void
    ) {
        state = Mutex(State(progress: Progress(label: label, bytesTotal: bytesTotal)))
        self.width = width
        self.elapsed = elapsed
        self.draw = draw
    }

    /// More has been done.
    package func advance(bytes: Int = 0, documents: Int = 0) {
        change {
            $0.bytes += bytes
            $0.documents += documents
        }
    }

    /// This much has been done in all.
    package func update(bytes: Int, documents: Int) {
        change {
            $0.bytes = bytes
            $0.documents = documents
        }
    }

    /// A line of text above the bar, for a terminal: the caller knows whether there is one.
    package func say(_ text: String) {
        state.withLock { state in
            draw((state.lastDrawn == nil || state.ended ? "" : "\r\u{1b}[K") + printable(text) + "\n")
            state.lastDrawn = nil
        }
    }

    /// Takes the line away and returns where things stand; later calls change nothing.
    @discardableResult
    package func finish() -> Progress {
        state.withLock { state in
            if !state.ended {
                state.ended = true
                state.progress.elapsed = elapsed()
                if state.lastDrawn != nil { draw("\r\u{1b}[K") }
            }
            return state.progress
        }
    }

    private func change(_ body: (inout Progress) -> Void) {
        state.withLock { state in
            guard !state.ended else { return }
            body(&state.progress)
            let now = elapsed()
            state.progress.elapsed = now
            if let last = state.lastDrawn, now - last < Self.redrawInterval { return }
            guard let width = width() else { return }
            state.lastDrawn = now
            // One column stays free: a full line would wrap on some terminals.
            draw("\r\(state.progress.line(width: max(1, width - 1)))\u{1b}[K")
        }
    }
}
