/// Failures that a test plants under a file: the errors of a disk that no test can wait for.

import Synchronization

package final class FileFaults: Sendable {
    package struct Fault: Sendable {
        /// As in `IOError.operation`: `pwrite`, `fdatasync`, `ftruncate` …
        let operation: String
        let code: Int32
        /// For `pwrite`: how many bytes still get to the file.
        let bytesBefore: Int

        package init(_ operation: String, code: Int32, bytesBefore: Int = 0) {
            self.operation = operation
            self.code = code
            self.bytesBefore = bytesBefore
        }
    }

    private let planted = Mutex<[Fault]>([])

    package init() {}

    /// Each planted fault happens once, at the next call of its operation.
    package func plant(_ faults: Fault...) { planted.withLock { $0 += faults } }

    func take(_ operation: String) -> Fault? {
        planted.withLock { planted in
            guard let index = planted.firstIndex(where: { $0.operation == operation }) else { return nil }
            return planted.remove(at: index)
        }
    }
}
