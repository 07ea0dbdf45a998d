// What a drill tells while it runs: a line for each thing that was done, each command of the page with what it said, and the
// verdict. With JSON the same is collected and printed as one object at its end.

import Synchronization
import VarveModel
package import VarveTerminal

package final class Narrator: Sendable {
    /// What a line is about.
    package enum Kind: String, Sendable { case built, broken, seen, byHand = "by hand", typed, checked, kept }

    private struct Event: Sendable {
        var kind: Kind
        var text: String
        var output: String?
        var exitCode: Int32?
    }

    private let output: Output
    private let palette: Palette
    private let isJSON: Bool
    private let events = Mutex<[Event]>([])

    package init(_ output: Output, palette: Palette, isJSON: Bool) {
        self.output = output
        self.palette = palette
        self.isJSON = isJSON
    }

    func begins(_ drill: Drill, on place: String, page: String) {
        events.withLock { $0 = [] }
        show("\(palette.bold(drill.name))  \(drill.summary)  \(palette.dim("(on \(place), by \(page))"))")
    }

    func tell(_ kind: Kind, _ text: String) {
        events.withLock { $0.append(Event(kind: kind, text: text)) }
        let label = kind.rawValue + String(repeating: " ", count: max(0, 8 - kind.rawValue.count))
        show("  \(kind == .broken ? palette.yellow(label) : palette.dim(label))  \(text)")
    }

    /// A command of the page and what it said.
    func typed(_ script: String, _ said: String, exitCode: Int32) {
        events.withLock { $0.append(Event(kind: .typed, text: script, output: said, exitCode: exitCode)) }
        for line in script.split(separator: "\n") { show("  \(palette.cyan("$ " + line))") }
        for line in said.split(separator: "\n") { show("      \(line)") }
    }

    func ends(_ drill: Drill, on place: String, _ verdict: DrillVerdict, after time: Duration) {
        if isJSON { return print(drill, place, verdict, time) }
        let seconds = Quantity.time(time)
        switch verdict {
        case .passed: show("\(palette.green("passed"))  \(drill.name) on \(place) in \(seconds)\n")
        case .skipped(let reason): show("\(palette.yellow("skipped"))  \(drill.name) on \(place): \(reason)\n")
        case .failed(let reason):
            show("\(palette.red("FAILED"))  \(drill.name) on \(place) after \(seconds): \(reason)\n")
        case .interrupted: show("\(palette.yellow("interrupted"))  \(drill.name) on \(place) after \(seconds)\n")
        }
    }

    private func print(_ drill: Drill, _ place: String, _ verdict: DrillVerdict, _ time: Duration) {
        let steps = events.withLock { $0 }.map { event -> Value in
            var fields: [Value.Field] = [.init("kind", .text(event.kind.rawValue)), .init("text", .text(event.text))]
            if let output = event.output { fields.append(.init("output", .text(output))) }
            if let code = event.exitCode { fields.append(.init("exitCode", .integer(Int64(code)))) }
            return .object(fields)
        }
        let (word, reason): (String, Value) =
            switch verdict {
            case .passed: ("passed", .null)
            case .skipped(let reason): ("skipped", .text(reason))
            case .failed(let reason): ("failed", .text(reason))
            case .interrupted: ("interrupted", .null)
            }
        let value: Value = [
            "drill": .text(drill.name), "place": .text(place), "verdict": .text(word), "reason": reason,
            "seconds": .double(Double(time / .milliseconds(1)) / 1_000), "steps": .array(steps),
        ]
        try? output.write(value.jsonBytes + [0x0a])
    }

    /// A reader that went away is no reason to leave the cluster behind.
    private func show(_ line: String) {
        if !isJSON { try? output.line(line) }
    }
}
