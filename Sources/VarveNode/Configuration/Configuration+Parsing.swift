// From the bytes of a file to a checked `Configuration`, or to the one line that says what is wrong and where.

public import VarveModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension Configuration {
    /// A configuration file is a page, not a data set.
    static let fileBytesMax = 1 << 20

    /// Reads `yaml`; `path` names its file in messages and is where relative paths start. `environment` is what `!Env`
    /// looks into. Throws `CONFIG_INVALID` for the first thing that is wrong, in the order of the file.
    public static func parse(
        yaml: [UInt8], path: String? = nil, environment: [String: String] = [:]
    ) throws(VarveError) -> Configuration {
        let source = ConfigurationSource(path: path, environment: environment)
        guard yaml.count <= fileBytesMax else {
            throw source.error(1, "", "the file has \(yaml.count) bytes, at most \(fileBytesMax) are read")
        }
        let document: YAMLNode?
        do { document = try YAMLDocument.parse(yaml) } catch { throw source.error(error.line, "", error.message) }
        var reader = ConfigurationReader(source: source)
        if let document { try reader.read(document) }
        try reader.checkRules()
        return reader.configuration
    }

    public static func parse(
        yaml: String, path: String? = nil, environment: [String: String] = [:]
    ) throws(VarveError) -> Configuration {
        try parse(yaml: Array(yaml.utf8), path: path, environment: environment)
    }

    /// Reads the file. `NOT_FOUND` when there is none or it cannot be read, else as `parse`.
    public static func load(path: String, environment: [String: String]) throws(VarveError) -> Configuration {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        // One byte beyond the limit is enough to be refused with the right reason.
        while bytes.count <= fileBytesMax {
            let got = read(descriptor, &chunk, chunk.count)
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw unreadable(path) }
            if got == 0 { break }
            bytes.append(contentsOf: chunk[..<got])
        }
        return try parse(yaml: bytes, path: path, environment: environment)
    }

    private static func unreadable(_ path: String) -> VarveError {
        VarveError(.notFound, "the configuration \(path) cannot be read: \(String(cString: strerror(errno)))")
    }

    /// The rules between keys, for a configuration made in code.
    public func validate() throws(VarveError) {
        guard let broken = brokenRules().first else { return }
        throw VarveError(.configInvalid, broken.message, at: broken.keyPath)
    }
}

/// Where a configuration comes from; makes every error look the same.
struct ConfigurationSource: Sendable {
    var path: String?
    var environment: [String: String]

    /// Relative paths start here; empty means the working directory.
    var directory: String {
        guard let path, let slash = path.utf8.lastIndex(of: 0x2f) else { return "" }
        return String(path[...slash])
    }

    func error(_ line: Int, _ keyPath: String, _ message: String) -> VarveError {
        let place = "\(path ?? "configuration"):\(line)"
        return VarveError(.configInvalid, message, at: keyPath.isEmpty ? place : "\(place) \(keyPath)")
    }
}
