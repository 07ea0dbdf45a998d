// What only a hand on the broker's disk can do.

import VarveIO
import VarveModel

extension KafkaBroker {
    /// Cuts a topic's only partition so that it ends at or before `end`, as a crash that loses the end of a file does. The broker
    /// is stopped; when it starts again it takes what is there.
    /// - Returns: where the partition ends now: batches are whole.
    package func cut(_ topic: String, to end: Int64) throws -> Int64 {
        let partition = partitionDirectory(of: topic)
        let path = "\(partition)/00000000000000000000.log"
        guard let bytes = try FileSystem.read(path) else { throw KafkaFailure("there is no \(path)") }
        var kept = 0
        var next: Int64 = 0
        // A batch: base offset (8), length of what follows (4), leader epoch (4), magic (1), CRC (4), attributes (2), offset of
        // the last record from the base (4), …; all big-endian.
        while kept + 27 <= bytes.count {
            let base = Int64(truncatingIfNeeded: number(bytes, at: kept, count: 8))
            let length = 12 + Int(number(bytes, at: kept + 8, count: 4))
            let last = base + Int64(number(bytes, at: kept + 23, count: 4))
            guard last < end, kept + length <= bytes.count else { break }
            kept += length
            next = last + 1
        }
        let file = try File(path, .createOrUpdate)
        try file.truncate(to: kept)
        // What is derived from the file is made anew from it.
        for entry in try Directory.list(partition)
        where !entry.name.hasSuffix(".log") && entry.name != "partition.metadata" {
            try FileSystem.remove("\(partition)/\(entry.name)")
        }
        for name in [".kafka_cleanshutdown", "recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
            try FileSystem.remove("\(directory)/data/\(name)")
        }
        return next
    }

    private func number(_ bytes: [UInt8], at start: Int, count: Int) -> UInt64 {
        bytes[start..<start + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
