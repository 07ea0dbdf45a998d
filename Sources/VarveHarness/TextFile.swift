// Small files of text, for what is written for a process to read and what a process left.

import Glibc
import VarveIO
package import VarveModel

package enum TextFile {
    /// What is there; empty when there is no such file.
    package static func read(_ path: String) throws(VarveError) -> String {
        do throws(IOError) {
            return String(decoding: try FileSystem.read(path) ?? [], as: UTF8.self)
        } catch {
            throw VarveError(.storageDenied, "\(path) cannot be read: \(error)")
        }
    }

    /// In place of what was there.
    package static func write(_ text: String, to path: String) throws(VarveError) {
        do {
            let file = try File(path + ".new", .createOrUpdate)
            try file.truncate(to: 0)
            try Array(text.utf8).withUnsafeBytes { try file.write($0, at: 0) }
            guard rename(path + ".new", path) == 0 else {
                throw IOError(code: errno, operation: "rename", path: path)
            }
        } catch {
            throw VarveError(.storageDenied, "\(path) cannot be written: \(error)")
        }
    }
}
