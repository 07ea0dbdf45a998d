/// Child process of the tests of the local log: appends until it is killed, and says what was acknowledged; or reads.
///
///     VarveLogWorker append DIRECTORY RUN                 for ever; one line `offset text` for each acknowledged record
///     VarveLogWorker script DIRECTORY                     a fixed life of a log, line by line as above
///     VarveLogWorker script DIRECTORY NUMBER MOMENT       the same, killed at its NUMBERth change: before, half, after
///     VarveLogWorker changes DIRECTORY                    the same, saying the changes instead
///     VarveLogWorker follow DIRECTORY COUNT               reads beside a writer; says the first COUNT records
///     VarveLogWorker full DIRECTORY                       fills the log up to a limit of the file size, then goes on

import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    // One call for a line, so that lines of several tasks never mix and a kill leaves whole ones.
    _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
}

func opened(_ path: String, segmentBytes: Int) async throws -> any Log {
    let provider = LocalLogProvider(path: path, segmentBytes: segmentBytes)
    if try await provider.probe(.first) == .missing { try await provider.create(.first) }
    let log = try await provider.open(.first)
    if try await log.range().isEmpty { _ = await log.append([LogContract.genesis(.first)]) }
    return log
}

/// Long enough that most are cut somewhere in the middle, and different enough that a part of one is never another.
func text(_ name: String, _ number: Int) -> String {
    "\(name) number \(number) \(String(repeating: "\(number % 10)", count: number * 37 % 211))."
}

func append(_ texts: [String], to log: any Log, saying: Bool = true) async {
    let results = await log.append(texts.map { Bytes($0) })
    guard saying else { return }
    for (text, result) in zip(texts, results) {
        if case .stored(let offset?, _) = result { say("\(offset) \(text)") } else { say("? \(result)") }
    }
}

func appendForEver(_ path: String, run: String) async throws {
    let log = try await opened(path, segmentBytes: 20_000)
    await withTaskGroup(of: Void.self) { group in
        for task in 0..<8 {
            group.addTask {
                var number = 0
                while true {
                    let texts = (0...number % 3).map { text("run \(run) task \(task)", number + $0) }
                    await append(texts, to: log)
                    number += texts.count
                }
            }
        }
    }
}

/// Opening, batches over several segments, trimming, closing, opening what was closed: every kind of change there is.
func live(_ path: String, saying: Bool) async throws {
    var log = try await opened(path, segmentBytes: 700)
    for number in 0..<24 {
        await append((0...number % 3).map { text("script", number * 3 + $0) }, to: log, saying: saying)
        if number == 9 { await log.trim(below: Offset(12)) }
    }
    await log.close()
    log = try await opened(path, segmentBytes: 700)
    for number in 24..<30 { await append([text("script", number * 3)], to: log, saying: saying) }
    await log.close()
    if saying { say("end") }
}

func follow(_ path: String, _ count: Int) async throws {
    let log = try await LocalLogProvider(path: path, pollSleepDuration: .milliseconds(2)).openToRead(.first)
    let tail = try await log.tail(from: .zero)
    var seen = 0
    while seen < count, let batch = try await tail.next() {
        for entry in batch.entries where seen < count {
            if entry.offset > .zero { say("\(entry.offset) \(entry.bytes.utf8 ?? "?")") }
            seen += 1
        }
    }
    await log.close()
}

func fill(_ path: String) async throws {
    let log = try await opened(path, segmentBytes: 1 << 30)
    signal(SIGXFSZ, SIG_IGN)
    var limit = rlimit()
    #if canImport(Glibc)
        let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    #else
        let resource = RLIMIT_FSIZE
    #endif
    getrlimit(resource, &limit)
    let before = limit.rlim_cur
    limit.rlim_cur = 1_000_000
    setrlimit(resource, &limit)
    var stored = 1
    while true {
        let result = await log.append([Bytes([UInt8](repeating: 1, count: 30_000))])[0]
        if case .stored = result {
            stored += 1
            continue
        }
        if case .refused(let error) = result { say("refused \(error.code) after \(stored)") } else { say("\(result)") }
        break
    }
    limit.rlim_cur = before
    setrlimit(resource, &limit)
    let result = await log.append([Bytes("room again")])[0]
    if case .stored(let offset?, _) = result { say("stored at \(offset)") } else { say("\(result)") }
    let entry = try await log.read(at: Offset(Int64(stored)))
    say("read \(entry?.bytes.utf8 ?? "nothing")")
    await log.close()
}

let arguments = CommandLine.arguments
switch (arguments.dropFirst().first, arguments.count) {
case ("append", 4): try await appendForEver(arguments[2], run: arguments[3])
case ("script", 3): try await live(arguments[2], saying: true)
case ("script", 5):
    guard let number = Int(arguments[3]), let moment = KillPoint.Moment(rawValue: arguments[4]) else { exit(64) }
    DiskWatch.begin(under: arguments[2], KillPoint(number, moment))
    try await live(arguments[2], saying: true)
case ("changes", 3):
    DiskWatch.begin(under: arguments[2], ChangeList())
    try await live(arguments[2], saying: false)
case ("follow", 4): try await follow(arguments[2], Int(arguments[3]) ?? 0)
case ("full", 3): try await fill(arguments[2])
default:
    say("usage: VarveLogWorker append|script|changes|follow|full DIRECTORY …")
    exit(64)
}
