// A file that a command reads whole, or standard input.

import Glibc
import VarveModel
import VarveTerminal

enum InputFile {
    /// Inputs that are read whole are transactions and questions, no data sets.
    static let bytesMax = 64 << 20

    /// `-` is standard input. Throws `Failure` with exit code 66 for what cannot be read.
    static func read(_ path: String, _ surroundings: Surroundings) throws(Failure) -> [UInt8] {
        if path == "-" { return try read(surroundings.input, "standard input") }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { close(descriptor) }
        return try read(descriptor, path)
    }

    private static func read(_ descriptor: Int32, _ name: String) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(name) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= bytesMax else {
                throw Failure("OVERSIZE: \(name) is larger than \(bytesMax) bytes", .failure)
            }
        }
    }

    private static func unreadable(_ name: String) -> Failure {
        Failure("NOT_FOUND: \(name) cannot be read: \(String(cString: strerror(errno)))", .noInput)
    }
}
