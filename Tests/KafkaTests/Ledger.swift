import RdKafka
import Synchronization
import Testing
import VarveTestSupport

/// Numbered records through one `Appender`, and afterwards: what was reported, what is in the log.
final class Ledger: Sendable {
    private let appender: Appender
    private let reports = Mutex<[Int: AppendReport]>([:])
    private let count = Mutex(0)

    init(_ servers: String, _ topic: String, properties: [String: String] = [:]) throws {
        appender = try Appender(
            RdKafkaSettings(bootstrapServers: servers, properties: properties), topic: topic,
            messageBytesMax: 1_048_588)
    }

    /// Hands over `more` records without waiting for anything.
    func submit(_ more: Int) throws {
        let first = count.withLock { count in
            defer { count += more }
            return count
        }
        for number in first..<first + more {
            try appender.submit([Array("record \(number)".utf8)]) { [self] report in
                reports.withLock { $0[number] = report[0] }
            }
        }
    }

    /// At `perSecond` for some seconds, in twenty steps each.
    func submit(perSecond: Int, seconds: Double) async throws {
        for _ in 0..<Int(seconds * 20) {
            try submit(max(1, perSecond / 20))
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    func purge() { appender.purge() }

    /// Waits until every record has its report.
    func settle(withinSeconds seconds: Int = 60) async throws {
        for _ in 0..<seconds * 50 {
            if reported.count == submitted { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw Failure("\(submitted - reported.count) records have no report")
    }

    func close() async { await appender.close() }

    var submitted: Int { count.withLock { $0 } }
    var reported: [Int: AppendReport] { reports.withLock { $0 } }
    var stored: Int { reported.values.filter { if case .stored = $0 { true } else { false } }.count }

    /// Reads the whole topic and holds the reports against it: nothing twice, nothing out of order, nothing that was
    /// reported as stored missing, nothing that was refused there, every reported place right.
    func check(_ servers: String, _ topic: String) async throws -> [Int] {
        let found = try await Self.numbers(in: topic, servers)
        let numbers = found.map(\.number)
        #expect(numbers == numbers.sorted(), "the order of submission is the order of the log")
        #expect(Set(numbers).count == numbers.count, "\(numbers.count - Set(numbers).count) records are there twice")
        let places = Dictionary(found.map { ($0.number, $0.offset) }, uniquingKeysWith: { first, _ in first })
        for (number, report) in reported {
            switch report {
            case .stored(let offset, _):
                #expect(places[number] != nil, "record \(number) was reported as stored and is not there")
                if let offset { #expect(places[number] == offset) }
            case .refused: #expect(places[number] == nil, "record \(number) was refused and is there")
            case .unknown: break
            }
        }
        return numbers
    }

    static func numbers(in topic: String, _ servers: String) async throws -> [(number: Int, offset: Int64)] {
        let settings = try RdKafkaSettings(bootstrapServers: servers)
        let admin = try Admin(settings)
        // Right after brokers came back a topic may have no leader yet.
        var end: Int64?
        for attempt in 0..<100 where end == nil {
            do {
                end = try await admin.range(of: topic, withinMilliseconds: 10_000).upperBound
            } catch {
                guard attempt < 99 else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        await admin.close()
        guard let end else { return [] }
        let tail = try Tail(settings, topic: topic, from: 0, messageBytesMax: 1_048_588)
        var found: [(number: Int, offset: Int64)] = []
        var next: Int64 = 0
        while next < end, let event = await tail.next() {
            guard case .records(let records) = event else { continue }
            for record in records.all {
                let text = String(decoding: record.value, as: UTF8.self)
                found.append((Int(text.dropFirst("record ".count)) ?? -1, record.offset))
                next = record.offset + 1
            }
        }
        await tail.close()
        return found
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
