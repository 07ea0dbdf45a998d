/// The files of a local log without a handle on it, for tools that look at bytes: what a reader finds, and what opening
/// would make of them.

package import VarveModel
internal import VarveIO

package enum LocalInspection {
    /// Every entry of a directory's segments up to the end of the last whole batch of each. Throws `LOG_CORRUPT` where
    /// opening would for a segment's header.
    package static func entries(in directory: String, _ epoch: Epoch) throws(VarveError) -> [LogEntry] {
        var all: [LogEntry] = []
        for segment in try LocalRecovery.segments(directory, epoch) {
            try onDisk { () throws(IOError) in
                var reader = try SegmentReader(segment, for: segment.first)
                let size = try reader.file.size
                var stop = SegmentReader.Stop.more
                while stop == .more {
                    stop = try reader.advance(to: size, chunk: LocalContents.tailChunk, .zero, &all) { _, _ in }
                }
            }
        }
        return all
    }

    /// Opens as a writer would, mends what a crash may have left, and says which offset comes next.
    package static func recover(_ directory: String, _ epoch: Epoch) throws(VarveError) -> Offset {
        try LocalRecovery.run(directory, epoch, nil).next
    }
}
