import Foundation
import Synchronization
import Testing
import VarveClient
import VarveHarness
import VarveModel
import VarveWire

/// The program under test: `VARVE_PROGRAM`, else what `swift build` left beside the tests.
enum VarveProgram {
    /// Built beside the tests, for what only a debug build does; nil when it is not there.
    static let debug: String? = {
        let path = "\(URL(filePath: #filePath).pathComponents.dropLast(3).joined(separator: "/"))/.build/debug/varve"
        let plain = path.hasPrefix("//") ? String(path.dropFirst()) : path
        return FileManager.default.isExecutableFile(atPath: plain) ? plain : nil
    }()

    static let path: String = {
        if let named = ProcessInfo.processInfo.environment["VARVE_PROGRAM"], !named.isEmpty { return named }
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        return ["debug", "release"].map { "\(root)/.build/\($0)/varve" }
            .first { FileManager.default.isExecutableFile(atPath: $0) } ?? "varve"
    }()
}

/// Runs the program to its end: its exit status, and what it wrote to both outputs.
func runProgram(
    _ arguments: [String], _ environment: [String: String] = [:], program: String? = nil
) throws -> (status: Int32, text: String) {
    let process = Process()
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.executableURL = URL(filePath: program ?? VarveProgram.path)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardError = pipe
    process.standardOutput = pipe
    try process.run()
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
}

/// A directory for one test, removed with its scope.
func withScratch<R>(_ body: (String) async throws -> R) async throws -> R {
    let path = NSTemporaryDirectory() + "/varve-cluster-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

/// One `varve node` process: started, killed, stopped and started again by its test.
final class NodeProcess: Sendable {
    let name: String
    let directory: String
    let configuration: String
    private let process = Mutex<Process?>(nil)
    private let program: String
    private let environment: [String: String]

    /// Writes the node's configuration: `sections` are the YAML lines of `log` and what else it needs.
    init(
        _ name: String, in directory: String, _ sections: String, http: String? = nil,
        program: String = VarveProgram.path, environment: [String: String] = [:]
    ) throws {
        self.program = program
        self.environment = environment
        self.name = name
        self.directory = directory
        configuration = "\(directory)/\(name).yaml"
        let port = try freePort()
        url = "http://127.0.0.1:\(port)"
        let text = """
            \(sections)
            http: { host: 127.0.0.1, port: \(port)\(http.map { ", \($0)" } ?? "") }
            node: { id: \(name), directory: \(directory)/\(name) }
            """
        try Data(text.utf8).write(to: URL(filePath: configuration))
    }

    let url: String
    var client: Client { get throws { try Client(ClientOptions(urls: [url])) } }

    func start() throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        if !environment.isEmpty {
            process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        }
        process.arguments = ["node", "--config", configuration]
        let output = "\(directory)/\(name).log"
        if !FileManager.default.fileExists(atPath: output) {
            _ = FileManager.default.createFile(atPath: output, contents: nil)
        }
        let handle = try FileHandle(forWritingTo: URL(filePath: output))
        try handle.seekToEnd()
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
        self.process.withLock { $0 = process }
    }

    /// Starts and waits until the node serves; throws with its log when it ends instead.
    func startAndWait() async throws {
        try start()
        try await waitUntilReady()
    }

    func waitUntilReady() async throws {
        let client = try client
        for _ in 0..<1_200 {
            if await client.readiness() == nil { return }
            if process.withLock({ $0?.isRunning != true }) { throw NodeFailure("\(name) ended:\n\(log.suffix(2_000))") }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw NodeFailure("\(name) is not ready after a minute:\n\(log.suffix(2_000))")
    }

    /// The server is there before the node is.
    func waitUntilItListens() async throws {
        let client = try Client(ClientOptions(urls: [url], patience: .zero))
        for _ in 0..<1_200 {
            do throws(VarveError) {
                _ = try await client.status()
                return
            } catch {
                if error.code != .nodeUnreachable { throw error }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw NodeFailure("\(name) does not listen after a minute:\n\(log.suffix(2_000))")
    }

    var isRunning: Bool { process.withLock { $0?.isRunning == true } }

    /// SIGKILL: nothing is written or closed any more.
    func kill() { end(SIGKILL) }

    /// SIGTERM; returns the exit status.
    @discardableResult
    func stop() -> Int32 { end(SIGTERM) }

    /// SIGSTOP: it stands still, wherever it is, and holds what it holds.
    func pause() { signal(SIGSTOP) }

    /// SIGCONT: it goes on as if no time had passed.
    func resume() { signal(SIGCONT) }

    private func signal(_ signal: Int32) {
        guard let process = process.withLock({ $0 }), process.isRunning else { return }
        Foundation.kill(process.processIdentifier, signal)
    }

    /// Waits for the process to end by itself and returns its exit status.
    func waitForEnd() -> Int32 {
        let process = process.withLock { $0 }
        process?.waitUntilExit()
        return process?.terminationStatus ?? -1
    }

    @discardableResult
    private func end(_ signal: Int32) -> Int32 {
        guard let process = process.withLock({ $0 }), process.isRunning else { return -1 }
        Foundation.kill(process.processIdentifier, signal)
        process.waitUntilExit()
        return process.terminationStatus
    }

    var log: String { (try? String(contentsOfFile: "\(directory)/\(name).log", encoding: .utf8)) ?? "" }

    deinit { end(SIGKILL) }
}

struct NodeFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Waits until all nodes stand at one position with nothing left to read, and returns their status.
func settled(_ nodes: [NodeProcess]) async throws -> [StatusAnswer] {
    for _ in 0..<1_200 {
        var answers: [StatusAnswer] = []
        for node in nodes { answers.append(try await node.client.status()) }
        let positions = Set(answers.map { $0.applied?.position })
        if positions.count == 1, answers.allSatisfy({ $0.lag?.records == 0 }) { return answers }
        try await Task.sleep(for: .milliseconds(50))
    }
    throw NodeFailure("the nodes did not come to one position within a minute")
}

/// A port nobody listens on now.
func freePort() throws -> Int { try freePorts(1)[0] }
