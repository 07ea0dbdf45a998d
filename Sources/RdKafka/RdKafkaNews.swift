import Synchronization

/// What a handle's connections went through in a stretch of time.
package struct RdKafkaNews: Sendable, Hashable {
    package var lostConnections: UInt64
    /// Summed over answers.
    package var throttledMilliseconds: UInt64
}

/// Turns librdkafka's statistics, a JSON text, into news. Only two numbers of each broker are read, wherever they stand:
/// `disconnects` counts since the handle was made, `throttle` since the statistics before.
final class Meter: Sendable {
    private let disconnects = Mutex<UInt64>(0)

    func take(_ json: String.UTF8View) -> RdKafkaNews {
        let json = Array(json)
        let lost = Self.sum(of: #""disconnects":"#, json)
        let throttled = Self.sum(of: #""sum":"#, json, within: #""throttle":"#)
        let new = disconnects.withLock { before in
            defer { before = max(before, lost) }
            return lost > before ? lost - before : 0
        }
        return RdKafkaNews(lostConnections: new, throttledMilliseconds: throttled)
    }

    /// Of all integers right behind `key`; with `object`, only of the first one in each object of that name.
    private static func sum(of key: String, _ json: [UInt8], within object: String? = nil) -> UInt64 {
        var total: UInt64 = 0
        var at = 0
        while let begin = object.map({ end(of: $0, json, from: at) }) ?? at,
            let value = end(of: key, json, from: begin)
        {
            let digits = json[value...].drop { $0 == 0x20 }.prefix { (0x30...0x39).contains($0) }
            total &+= UInt64(String(decoding: digits, as: UTF8.self)) ?? 0
            at = value
        }
        return total
    }

    private static func end(of text: String, _ json: [UInt8], from: Int) -> Int? {
        let text = Array(text.utf8)
        var at = from
        while at + text.count <= json.count {
            if json[at] == text[0], json[at..<at + text.count].elementsEqual(text) { return at + text.count }
            at += 1
        }
        return nil
    }
}
