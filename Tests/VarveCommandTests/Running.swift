import Glibc
import Testing
import VarveHarness
import VarveTerminal

@testable import VarveCommand

/// What a run of the program left.
struct Ran {
    var code: Int32
    var output: String
    var errors: String
}

/// A directory that goes with the test.
func withDirectory(_ body: (String) async throws -> Void) async throws {
    var template = Array("/tmp/varve-cli-XXXXXX\0".utf8).map { CChar(bitPattern: $0) }
    try #require(mkdtemp(&template) != nil)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { remove(path) }
    try await body(path)
}

/// With all that is in it.
private func remove(_ path: String) {
    if let directory = opendir(path) {
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { remove("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    } else {
        unlink(path)
    }
}

func contents(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while case let count = read(descriptor, &chunk, chunk.count), count > 0 { bytes += chunk[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}

func write(_ text: String, to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
}

/// Names of what is in a directory, in no order.
func entries(_ directory: String) -> [String] {
    guard let listing = opendir(directory) else { return [] }
    defer { closedir(listing) }
    var found: [String] = []
    while let entry = readdir(listing) {
        found.append(
            withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return found
}

/// Runs a command within this process.
func varve(_ arguments: String..., input: String = "", environment: [String: String] = [:]) async throws -> Ran {
    try await varve(arguments, input: input, environment: environment)
}

func varve(_ arguments: [String], input: String = "", environment: [String: String] = [:]) async throws -> Ran {
    var ran = Ran(code: -1, output: "", errors: "")
    try await withDirectory { directory in
        try write(input, to: "\(directory)/in")
        let descriptors = [
            open("\(directory)/in", O_RDONLY), open("\(directory)/out", O_WRONLY | O_CREAT, 0o600),
            open("\(directory)/err", O_WRONLY | O_CREAT, 0o600),
        ]
        defer { for descriptor in descriptors { close(descriptor) } }
        let surroundings = Surroundings(
            environment: environment, output: Output(descriptor: descriptors[1]),
            errors: Output(descriptor: descriptors[2]), input: descriptors[0])
        ran.code = await Varve.run(arguments, surroundings).rawValue
        ran.output = contents("\(directory)/out")
        ran.errors = contents("\(directory)/err")
    }
    return ran
}

/// The built program, which stands beside the tests.
func programPath() throws -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    try #require(count > 0)
    let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let beside = own.split(separator: "/").dropLast().joined(separator: "/")
    let candidates = ["/\(beside)/varve", ".build/debug/varve"]
    return try #require(candidates.first { access($0, X_OK) == 0 }, "the program is not built: \(candidates)")
}

/// The built program in a process of its own, with its output in a file.
func start(_ arguments: [String], output: String) throws -> ChildProcess {
    try ChildProcess(try programPath(), arguments, environment: ["PATH": "/usr/bin:/bin"], output: output)
}

/// Waits until the file has a line that begins so; nil when the process ended before.
func line(_ beginning: String, in path: String, of process: ChildProcess) async throws -> String? {
    while true {
        let isOver = process.exit != nil
        if let line = contents(path).split(separator: "\n").first(where: { $0.contains(beginning) }) {
            return String(line)
        }
        if isOver { return nil }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// A node of the built program, up to its end: gives its URL.
func withNode(_ yaml: String = "", _ body: (String, ChildProcess, String) async throws -> Void) async throws {
    try await withDirectory { directory in
        try write(yaml + "http: { host: 127.0.0.1, port: 0 }\nnode: { id: n1 }\n", to: "\(directory)/node.yaml")
        let log = "\(directory)/node.log"
        let process = try start(["node", "--config", "\(directory)/node.yaml"], output: log)
        do {
            let words = try #require(await line("listens on http", in: log, of: process), "\(contents(log))")
                .split(separator: " ")
            let url = String(try #require(words.first { $0.hasPrefix("http://") }))
            while try await varve("status", "--ready", "--url", url).code != 0 {
                try #require(process.exit == nil, "\(contents(log))")
                try await Task.sleep(for: .milliseconds(10))
            }
            try await body(url, process, directory)
        } catch {
            await process.end(within: .seconds(5))
            throw error
        }
        await process.end(within: .seconds(20))
    }
}
