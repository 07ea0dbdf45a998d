/// A topic that both sides use, with the settings that both sides use.

internal import CVarveYardstick
internal import VarveKafka
internal import VarveLog
internal import VarveModel

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

struct KafkaPlace {
    let provider: KafkaLogProvider
    private let topic: String
    private let producer: String
    private let reader: String

    /// The embedded broker has `bench-e0` to `bench-e15`; on a real one the topic is made.
    init(servers: String, isReal: Bool) {
        provider = KafkaLogProvider(KafkaLogSettings(bootstrapServers: servers, topic: "bench", allowWeakLog: true))
        topic = "bench-e0"
        // As `RdKafkaSettings` has them.
        let common = """
            bootstrap.servers=\(servers)
            reconnect.backoff.ms=50
            reconnect.backoff.max.ms=250
            socket.keepalive.enable=true
            socket.nagle.disable=true
            statistics.interval.ms=1000
            allow.auto.create.topics=false

            """
        producer =
            common + """
                enable.idempotence=true
                acks=all
                message.timeout.ms=0
                max.in.flight.requests.per.connection=1
                linger.ms=0
                queue.buffering.max.kbytes=65536
                batch.size=1000000
                """
        reader =
            common + """
                check.crcs=true
                isolation.level=read_uncommitted
                auto.offset.reset=error
                enable.auto.commit=false
                enable.auto.offset.store=false
                queued.min.messages=1000000
                queued.max.messages.kbytes=16384
                fetch.error.backoff.ms=50
                fetch.min.bytes=1
                fetch.wait.max.ms=\(isReal ? 1_000 : 5)
                """
    }

    func open() async throws -> any Log {
        if try await provider.probe(.first) == .missing { try await provider.create(.first) }
        return try await provider.open(.first)
    }

    /// Makes the topic, with at least so many records of 100 bytes at its end.
    func fill(_ count: Int) async throws {
        let log = try await open()
        await log.close()
        _ = try yardstick { yardstick_append($0, Int64(count), 100, $1, $2) }
    }

    /// The same before each reading: what was appended meanwhile may have another size.
    func fillAgain(_ count: Int) async throws { try await fill(count) }

    /// Where the last `count` records begin.
    func start(_ count: Int) async throws -> Offset {
        let log = try await open()
        let end = try await log.range().upperBound
        await log.close()
        return Offset(end.value - Int64(count))
    }

    func yardstick(
        _ body: (UnsafePointer<yardstick_place>, UnsafeMutablePointer<yardstick_result>, UnsafeMutablePointer<CChar>) ->
            Int32
    ) throws -> yardstick_result {
        var result = yardstick_result()
        var error = [CChar](repeating: 0, count: 256)
        let code = producer.withCString { producer in
            reader.withCString { reader in
                topic.withCString { topic in
                    var place = yardstick_place(producer: producer, reader: reader, topic: topic)
                    return body(&place, &result, &error)
                }
            }
        }
        guard code == 0 else {
            throw Fault(
                "the yardstick: "
                    + String(decoding: error.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        return result
    }
}

var processID: Int32 { getpid() }

/// `varve broker` beside this program.
struct BrokerProcess {
    let servers: String
    private let process: Int32

    static func start() throws -> BrokerProcess {
        let own = CommandLine.arguments[0]
        let directory = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "."
        let program = directory + "/varve"
        guard access(program, X_OK) == 0 else { throw Fault("\(program) is not built: make build") }
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Fault("no pipe") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        var process: pid_t = 0
        let words: [String] = [program, "broker", "--topic", "bench"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        guard posix_spawn(&process, program, &actions, nil, &arguments, environ) == 0 else {
            throw Fault("\(program) cannot be started")
        }
        close(ends[1])
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(ends[0], &byte, 1) == 1, byte != 0x0a { line.append(byte) }
        close(ends[0])
        guard !line.isEmpty else { throw Fault("the broker said nothing") }
        return BrokerProcess(servers: String(decoding: line, as: UTF8.self), process: process)
    }

    func end() {
        kill(process, SIGTERM)
        _ = Child.wait(process)
    }
}
