/// Writes down what a process does to a directory, and what it says was done, in one order: what `PowerCut` builds the
/// states from that a disk may be in when the power goes.

import Synchronization
package import VarveIO

package final class DiskRecorder: DiskWatcher {
    package enum Event: Sendable {
        case create(String)
        case write(String, offset: Int, [UInt8])
        case truncate(String, size: Int)
        case link(from: String, to: String)
        case rename(from: String, to: String)
        case unlink(String)
        case makeDirectory(String)
        case sync(String)
        case syncDirectory(String)
        /// What the test notes between the changes: from here on this is promised.
        case promise(String)

        /// For messages, without the bytes.
        package var name: String {
            if case .write(let path, let offset, let bytes) = self { return "write \(path) \(offset) \(bytes.count)" }
            return "\(self)"
        }
    }

    private let log = Mutex<[Event]>([])

    package init() {}

    package var events: [Event] { log.withLock { $0 } }

    package func promise(_ text: String) { log.withLock { $0.append(.promise(text)) } }

    package func before(_ change: DiskChange) {}

    package func after(_ change: DiskChange) {
        let event: Event? =
            switch change {
            case .create(let path): .create(path)
            case .write(let path, let offset, let bytes): .write(path, offset: offset, [UInt8](bytes))
            case .truncate(let path, let size): .truncate(path, size: size)
            case .link(let from, let to): .link(from: from, to: to)
            case .rename(let from, let to): .rename(from: from, to: to)
            case .unlink(let path): .unlink(path)
            case .makeDirectory(let path): .makeDirectory(path)
            case .removeDirectory: nil
            case .sync(let path): .sync(path)
            case .syncDirectory(let path): .syncDirectory(path)
            }
        if let event { log.withLock { $0.append(event) } }
    }
}
