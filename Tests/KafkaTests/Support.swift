import Foundation

/// Cuts the only segment of a stopped broker's partition to a part of its length, as a power failure would.
func truncateSegment(in directory: String, keeping share: Double) throws {
    let path = directory + "/00000000000000000000.log"
    let file = try FileHandle(forUpdating: URL(filePath: path))
    let length = try file.seekToEnd()
    try file.truncate(atOffset: UInt64(Double(length) * share))
    try file.close()
}
