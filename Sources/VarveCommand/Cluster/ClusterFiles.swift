// The directory of a cluster on one machine: a configuration for each node, the storage they share, their output.

import Glibc
import VarveHarness
import VarveModel
import VarveNode

struct ClusterFiles {
    let directory: String
    /// Nobody named it.
    let isTemporary: Bool

    var storage: String { "\(directory)/storage" }
    func configuration(_ node: Int) -> String { "\(directory)/node-\(node).yaml" }
    func output(_ node: Int) -> String { "\(directory)/node-\(node).log" }
    func processID(_ node: Int) -> String { "\(directory)/node-\(node).pid" }

    /// The directory, made if it is not there; a new temporary one when none is named.
    init(_ path: String?) throws(VarveError) {
        isTemporary = path == nil
        if let path {
            directory = path.hasPrefix("/") ? path : "\(Self.workingDirectory)/\(path)"
            try Self.make(directory)
        } else {
            directory = try ScratchDirectory.make("varve-cluster")
        }
    }

    /// Takes a temporary directory away again, of a cluster that never served: nothing of anybody's is in it.
    func discard() { if isTemporary { ScratchDirectory.remove(directory) } }

    /// Where to look after a failure: what is discarded cannot be read.
    func reading(_ path: String) -> String {
        isTemporary ? "do it again with --dir, which keeps the nodes' output" : "read \(path)"
    }

    /// How many epochs a cluster that ran here before has recorded: a new broker's log begins the next one.
    var epochs: Int {
        (0...Int(Int16.max)).first { epoch in
            let digits = String(epoch, radix: 16)
            let name = String(repeating: "0", count: 4 - digits.count) + digits
            return access("\(storage)/epochs/e\(name).cbor", F_OK) != 0
        } ?? 0
    }

    func writeConfiguration(_ node: Int, bootstrapServers: String, topic: String, port: Int) throws(VarveError) {
        try write(
            """
            # Node \(node) of a cluster on this machine; `varve node --config` runs it by itself.
            log: !Kafka
              bootstrapServers: \(Self.quoted(bootstrapServers))
              topic: \(Self.quoted(topic))
              replicationFactor: 1
              allowWeakLog: true        # one machine, one broker: nothing here outlives it
            storage: !Local
              path: storage
            http:
              host: 127.0.0.1
              port: \(port)
            node:
              id: node-\(node)
              directory: scratch-\(node)

            """, to: configuration(node))
    }

    func write(_ text: String, to path: String) throws(VarveError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.denied(path) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw Self.denied(path) }
    }

    /// The last line a node wrote: why it ended.
    func lastLine(ofNode node: Int) -> String? {
        let descriptor = open(output(node), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let end = lseek(descriptor, 0, SEEK_END)
        var tail = [UInt8](repeating: 0, count: 4096)
        let count = pread(descriptor, &tail, tail.count, max(0, end - off_t(tail.count)))
        guard count > 0 else { return nil }
        return tail[..<count].split(separator: 0x0a).last.map { String(decoding: $0, as: UTF8.self) }
    }

    /// A text in double quotes: whatever is in it, it is one scalar of YAML.
    static func quoted(_ text: String) -> String { Value.text(text).json }

    static var workingDirectory: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { return "." }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func make(_ path: String) throws(VarveError) {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw denied(path) }
        guard access(path, W_OK) == 0 else { throw denied(path) }
    }

    private static func denied(_ path: String) -> VarveError {
        VarveError(
            .storageDenied, "\(path) cannot be written: \(String(cString: strerror(errno)))",
            next: "name another directory with --dir")
    }
}
