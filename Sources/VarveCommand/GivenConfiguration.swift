// The configuration file that a command was given, under its own name in the next command that a message tells.
//
// What stands below the command line knows no file: its errors say `--config node.yaml`, as the documents do. Whoever
// prints one puts in the file that was given, so that the line can be typed as it stands.

import VarveModel
import VarveTelemetry

struct GivenConfiguration: Sendable {
    static let standIn = "--config node.yaml"

    /// As it stands behind `--config` in a line for a shell.
    let word: String

    init(_ path: String) {
        let isPlain = !path.isEmpty && path.utf8.allSatisfy(Self.isPlain)
        word =
            isPlain
            ? path : "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    func naming(_ text: String) -> String {
        guard let place = text.firstRange(of: Self.standIn) else { return text }
        return text[..<place.lowerBound] + "--config " + word + naming(String(text[place.upperBound...]))
    }

    /// What no shell gives a meaning to.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 0x3a, 0x3d, 0x40, 0x5f: true
        default: false
        }
    }
}

/// Log lines of a node, whose errors name the next command, too.
struct NamingLogSink: LogSink {
    let lines: any LogSink
    let given: GivenConfiguration

    func write(_ entry: LogLine) {
        var entry = entry
        entry.message = given.naming(entry.message)
        lines.write(entry)
    }
}
