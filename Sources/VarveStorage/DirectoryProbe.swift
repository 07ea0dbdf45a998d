/// What publishing once stands on, tried out: exclusive link, read after write, list after write.

import VarveIO

struct DirectoryProbe {
    /// Publishes the same new name with the same bytes each time it is called.
    var publish: () throws(IOError) -> FileSystem.Publication
    var isReadBack: () throws(IOError) -> Bool
    var isListed: () throws(IOError) -> Bool

    /// What the file system cannot do, or nil.
    func weakness() throws(IOError) -> String? {
        do throws(IOError) {
            guard try publish() == .created else { return "a name that is new seems to be taken" }
            guard try publish() == .exists else { return "two writers can create the same name" }
        } catch {
            // Writing was allowed: it is the link that this file system does not have.
            if error.operation == "link", error.kind == .denied || error.kind == .other {
                return "it has no hard links (\(error.reason))"
            }
            throw error
        }
        guard try isReadBack() else { return "what was written is not read back" }
        guard try isListed() else { return "what was written is not listed" }
        return nil
    }
}
