// Where pages are: beside the checkout, or where the user says.

import VarveHarness
import VarveIO
package import VarveModel

package struct RunbookShelf: Sendable {
    /// The directory of the pages.
    package let directory: String
    /// How a page in it is named to the user.
    private let shown: String

    /// - Parameters:
    ///   - named: what the user says.
    ///   - program: the program's own path: in a checkout it lies below it.
    package init(named: String?, program: String, workingDirectory: String) throws(VarveError) {
        if let named {
            guard Directory.isDirectory(named) else {
                throw VarveError(
                    .notFound, "there is no directory \(named)",
                    next: "name the one that holds log-lost.md: --runbooks DIR")
            }
            (directory, shown) = (named, named)
            return
        }
        var tried = Self.parents(of: workingDirectory)
        for parent in Self.parents(of: program) where !tried.contains(parent) { tried.append(parent) }
        guard let found = tried.map({ Directory.join($0, "docs/runbooks") }).first(where: Self.isShelf) else {
            throw VarveError(
                .notFound,
                "the runbooks are not here: no directory from \(workingDirectory) upwards holds docs/runbooks, nor one above the program",
                next: "varve drill run NAME --runbooks DIR, where DIR is docs/runbooks of a checkout of varve")
        }
        directory = found
        shown =
            found.hasPrefix(workingDirectory + "/") ? String(found.dropFirst(workingDirectory.utf8.count + 1)) : found
    }

    package func page(_ name: String) throws(VarveError) -> Runbook {
        let path = Directory.join(directory, name + ".md")
        let text = try TextFile.read(path)
        guard !text.isEmpty else {
            throw VarveError(.notFound, "there is no runbook \(path)", next: "varve drill list")
        }
        return try Runbook(path: Directory.join(shown, name + ".md"), text: text)
    }

    private static func isShelf(_ path: String) -> Bool {
        Directory.isDirectory(path) && (try? FileSystem.exists(Directory.join(path, "log-lost.md"))) == true
    }

    /// The path and every directory above it.
    private static func parents(of path: String) -> [String] {
        var all = [path]
        while let last = all.last, last != "/", last != "." { all.append(Directory.parent(of: last)) }
        return all
    }
}
