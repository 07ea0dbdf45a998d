// The bytes of an input, inflated where they are gzip. Blocking: for a thread that may wait.

import VarveGzip
import VarveModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

struct ContentReader: ~Copyable {
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private let name: String
    private var buffer = [UInt8](repeating: 0, count: Self.readBytes)
    private var gzip = GzipState.unknown
    private var reader: GzipReader?
    /// Read and not yet inflated.
    private var raw: ArraySlice<UInt8> = []
    private var isAtEnd = false
    /// The input is no gzip and its first bytes were handed out.
    private var isDirect = false

    private enum GzipState { case unknown, plain, gzip }

    private static let readBytes = 256 * 1024
    /// Inflated at once: a bomb is met in pieces.
    private static let inflateBytes = 1 << 20

    /// Throws `NOT_FOUND` when the file cannot be opened.
    init(_ input: LoadInput) throws(VarveError) {
        switch input {
        case .file(let path):
            name = path
            ownsDescriptor = true
            descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw VarveError(.notFound, "\(path) cannot be read: \(String(cString: strerror(errno)))")
            }
        case .stream(let given):
            name = "standard input"
            ownsDescriptor = false
            descriptor = given
        }
    }

    deinit {
        if ownsDescriptor { close(descriptor) }
    }

    /// Appends what comes next to `output`; false at the end. Throws `NOT_FOUND` for what cannot be read, `BAD_REQUEST`
    /// for broken gzip.
    mutating func read(into output: inout [UInt8]) throws(VarveError) -> Bool {
        if isDirect { return try readDirectly(into: &output) }
        let before = output.count
        while output.count == before {
            if reader?.hasMore != true && raw.isEmpty {
                guard try fill() else {
                    try finishGzip()
                    return false
                }
            }
            guard gzip == .gzip else {
                output += raw
                raw = []
                // From here on bytes go straight to where they are wanted.
                isDirect = true
                continue
            }
            do throws(GzipError) {
                let used = try reader?.inflate(raw, into: &output, limit: Self.inflateBytes) ?? raw.count
                raw = raw.dropFirst(used)
            } catch {
                throw broken(error)
            }
        }
        return true
    }

    private mutating func readDirectly(into output: inout [UInt8]) throws(VarveError) -> Bool {
        let before = output.count
        output.append(contentsOf: repeatElement(0, count: Self.readBytes))
        while true {
            let count = systemRead(descriptor, &output, from: before)
            if count < 0 && errno == EINTR { continue }
            let reason = errno
            output.removeLast(Self.readBytes - max(0, count))
            guard count >= 0 else {
                throw VarveError(.notFound, "\(name) cannot be read: \(String(cString: strerror(reason)))")
            }
            return count > 0
        }
    }

    /// False at the end. The first bytes decide whether this is gzip.
    private mutating func fill() throws(VarveError) -> Bool {
        while !isAtEnd && (raw.isEmpty || gzip == .unknown && raw.count < 2) {
            let count = systemRead(descriptor, &buffer)
            if count < 0 {
                if errno == EINTR { continue }
                throw VarveError(.notFound, "\(name) cannot be read: \(String(cString: strerror(errno)))")
            }
            if count == 0 {
                isAtEnd = true
            } else {
                raw += buffer[..<count]
            }
        }
        if gzip == .unknown && !raw.isEmpty {
            gzip = raw.starts(with: [0x1f, 0x8b]) ? .gzip : .plain
            if gzip == .gzip {
                do throws(GzipError) { reader = try GzipReader() } catch { throw broken(error) }
            }
        }
        return !raw.isEmpty
    }

    private mutating func finishGzip() throws(VarveError) {
        do throws(GzipError) { try reader?.finish() } catch { throw broken(error) }
    }

    private func broken(_ error: GzipError) -> VarveError {
        VarveError(.badRequest, "\(name) is broken gzip: \(error)", next: "check it with gzip -t")
    }
}

/// Reads into `buffer` from index `start` to its end.
private func systemRead(_ descriptor: Int32, _ buffer: inout [UInt8], from start: Int = 0) -> Int {
    buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + start, $0.count - start) }
}
