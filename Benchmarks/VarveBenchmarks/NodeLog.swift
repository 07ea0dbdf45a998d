/// When a node did what, from its own log lines.

internal import VarveIO
internal import VarveModel

struct NodeLog {
    struct Crossing {
        /// From reading the seal until the next epoch was entered; microseconds.
        var from: Int64
        var to: Int64
    }

    private struct Line {
        var at: Int64
        var message: String
        var fields: [String: String]
    }

    private let lines: [Line]

    init(path: String) throws {
        let file = try MappedFile(path)
        let text = withExtendedLifetime(file) { String(decoding: file.bytes, as: UTF8.self) }
        lines = text.split(separator: "\n").compactMap { line in
            guard let value = try? parseJSON(String(line)), let time = value["time"]?.asText.flatMap({ Instant($0) }),
                let message = value["message"]?.asText
            else { return nil }
            var fields: [String: String] = [:]
            for field in value["metadata"]?.asObject ?? [] { fields[field.name] = field.value.asText }
            return Line(at: time.microseconds, message: message, fields: fields)
        }
    }

    private func first(_ window: ClosedRange<Int64>, _ text: String) -> Int64? {
        lines.first { window.contains($0.at) && $0.message.contains(text) }?.at
    }

    func proposal(in window: ClosedRange<Int64>) -> Int64? { first(window, "asks every node") }

    func confirmation(in window: ClosedRange<Int64>) -> Int64? { first(window, "this node can follow") }

    func crossing(into epoch: Int) -> Crossing? {
        guard let line = lines.first(where: { $0.message == "epoch \(epoch) entered" }),
            let took = line.fields["ms"].flatMap({ Int64($0) })
        else { return nil }
        return Crossing(from: line.at - took * 1_000, to: line.at)
    }
}
