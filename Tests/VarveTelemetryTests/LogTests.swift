import Synchronization
import Testing
import VarveTelemetry

@Suite("Log lines")
struct LogTests {
    static let instant: Int64 = 1_795_255_200_123_456  // 2026-11-21T10:00:00.123456Z

    func line(_ format: LogFormat, _ entry: LogLine, at time: Int64 = instant) -> String {
        String(decoding: format.line(entry, microseconds: time), as: UTF8.self)
    }

    @Test("a text line has time, level, label, message and sorted metadata")
    func textLine() {
        let entry = LogLine(level: .info, label: "node-1", message: "ready", metadata: ["epoch": "0", "block": "7"])
        #expect(line(.text, entry) == "2026-11-21T10:00:00.123Z INFO node-1 ready block=7 epoch=0\n")
    }

    @Test("a JSON line is one object")
    func jsonLine() {
        let entry = LogLine(level: .warning, label: "n", message: "a \"b\"\n\u{1}é", metadata: ["k": "v\\"])
        #expect(
            line(.json, entry)
                == #"{"time":"2026-11-21T10:00:00.123Z","level":"warning","label":"n","message":"a \"b\"\n\u0001é","#
                + #""metadata":{"k":"v\\"}}"# + "\n")
    }

    @Test(
        "the time is right on odd days",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999Z"),
        ])
    func times(time: Int64, text: String) {
        #expect(line(.text, LogLine(level: .error, label: "", message: "m"), at: time) == "\(text) ERROR m\n")
    }

    @Test("nothing that came from outside breaks a line or forges a field")
    func oneLine() {
        let entry = LogLine(
            level: .info, label: "n", message: "x\r\n2026 ERROR y\u{2028}\u{1b}[2J",
            metadata: ["id": "a b=\"c\"\n", "e": ""])
        #expect(
            line(.text, entry)
                == #"2026-11-21T10:00:00.123Z INFO n x\r\n2026 ERROR y\u2028\u001b[2J e="" id="a b=\"c\"\n""# + "\n")
    }

    @Test("what is below the level is neither written nor built")
    func levels() {
        let recorder = LogRecorder()
        var logger = Logger(label: "n", level: .info, sink: recorder)
        logger[metadataKey: "a"] = "1"
        logger.debug("\(Issue.record("the message was built"))")
        logger.info("one", metadata: ["b": "2"])
        logger.with(["a": "3"]).critical("two")
        #expect(
            recorder.entries == [
                LogLine(level: .info, label: "n", message: "one", metadata: ["a": "1", "b": "2"]),
                LogLine(level: .critical, label: "n", message: "two", metadata: ["a": "3"]),
            ])
    }

    @Test("lines of many threads never mix and appear in the order of their times")
    func manyThreads() async {
        let lines = Mutex<[String]>([])
        let ticks = Atomic<Int64>(0)
        let sink = LineLogSink(
            format: .text, now: { ticks.wrappingAdd(1000, ordering: .relaxed).newValue },
            output: { bytes in lines.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } })
        let logger = Logger(label: "n", sink: sink)
        await withTaskGroup { group in
            for task in 0..<4 { group.addTask { for index in 0..<250 { logger.info("\(task)-\(index)") } } }
        }
        let all = lines.withLock { $0 }
        #expect(all.count == 1000)
        #expect(all == all.sorted { $0.prefix(24) < $1.prefix(24) })
        #expect(all.allSatisfy { $0.hasSuffix("\n") && $0.split(separator: "\n").count == 1 })
    }
}
