/// Child process of the crash tests: appends to a local log until it is killed, and says what was acknowledged.
///
///     VarveLogWorker append DIRECTORY RUN   one line `offset text` for each acknowledged record
///     VarveLogWorker full DIRECTORY         fills the log up to a limit of the file size, then goes on without it

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
    try await provider.create(.first)
    let log = try await provider.open(.first)
    if try await log.range().isEmpty { _ = await log.append([LogContract.genesis(.first)]) }
    return log
}

func appendForEver(_ path: String, run: String) async throws {
    let log = try await opened(path, segmentBytes: 20_000)
    await withTaskGroup(of: Void.self) { group in
        for task in 0..<8 {
            group.addTask {
                var number = 0
                while true {
                    let texts = (0...number % 3).map { "run \(run) task \(task) number \(number + $0)" }
                    let results = await log.append(texts.map { Bytes($0) })
                    for (text, result) in zip(texts, results) {
                        if case .stored(let offset?, _) = result { say("\(offset) \(text)") }
                    }
                    number += texts.count
                }
            }
        }
    }
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
switch arguments.dropFirst().first {
case "append" where arguments.count == 4: try await appendForEver(arguments[2], run: arguments[3])
case "full" where arguments.count == 3: try await fill(arguments[2])
default:
    say("usage: VarveLogWorker append DIRECTORY RUN | full DIRECTORY")
    exit(64)
}
