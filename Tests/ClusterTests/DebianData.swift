import Foundation
import VarveGzip
import VarveModel

/// Real documents: Debian packages and updates to them, one JSON document a line.
///
/// `VARVE_DEBIAN_DATA` names a directory with the whole of it, `debian-packages.ndjson.gz` and
/// `debian-updates.ndjson.gz`; without it the smaller cut in Examples/data is taken.
struct DebianData {
    let packagesFile: String
    let packages: [Substring]
    let updates: [Substring]
    let isWhole: Bool

    static func load() throws -> DebianData {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        let named = ProcessInfo.processInfo.environment["VARVE_DEBIAN_DATA"].flatMap { $0.isEmpty ? nil : $0 }
        let prefix = named.map { "\($0)/debian-" } ?? "\(root)/Examples/data/"
        let packages = "\(prefix)packages.ndjson.gz"
        return DebianData(
            packagesFile: packages, packages: try lines(packages),
            updates: try lines("\(prefix)updates.ndjson.gz"), isWhole: named != nil)
    }

    private static func lines(_ path: String) throws -> [Substring] {
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        let text = try GzipReader.inflate(bytes, maxBytes: 1 << 30)
        return String(decoding: text, as: UTF8.self).split(separator: "\n")
    }

    /// The id of a line, which every one of these begins with.
    static func id(_ line: Substring) -> String {
        let start = line.index(line.startIndex, offsetBy: #"{"_id": ""#.count)
        return String(line[start..<line[start...].firstIndex(of: "\"")!])
    }
}
