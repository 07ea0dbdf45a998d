import Foundation

/// The checkout that these tests were compiled in.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().standardizedFileURL

    /// Text of a file, by its path from the top.
    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path(percentEncoded: false))
    }

    /// Files with that ending below the given directories, as paths from the top; hidden ones (`.build`, `.git`) are not
    /// ours.
    static func files(_ ending: String, below directories: [String] = [""]) -> [String] {
        let top = root.path(percentEncoded: false)
        return directories.flatMap { directory -> [String] in
            let start = root.appending(path: directory)
            let all = FileManager.default.enumerator(
                at: start, includingPropertiesForKeys: nil, options: [.skipsHiddenFiles])
            return (all?.compactMap { $0 as? URL } ?? [])
                .map { $0.standardizedFileURL.path(percentEncoded: false) }
                .filter { $0.hasSuffix(ending) }
                .map { String($0.dropFirst(top.hasSuffix("/") ? top.count : top.count + 1)) }
        }.sorted()
    }

    /// Directories of `Sources` that hold Swift files.
    static var targets: [String] {
        Set(
            files(".swift", below: ["Sources"]).compactMap {
                $0.split(separator: "/").dropFirst().first.map(String.init)
            }
        )
        .sorted()
    }

    /// All matches of a pattern's first group.
    static func matches(_ pattern: String, in text: String) throws -> [String] {
        try text.matches(of: Regex(pattern, as: (Substring, Substring).self)).map { String($0.1) }
    }
}
