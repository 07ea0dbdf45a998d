// Holds back the last line of a stream of lines until it is known to be a row: a stream that could not go on ends with
// a line `{"error":{…}}`.

import Synchronization
import VarveModel
import VarveWire

final class LineTail: Sendable {
    private let held = Mutex<[UInt8]>([])

    /// All but the last whole line of what came so far.
    func pass(_ piece: [UInt8]) -> [UInt8] {
        held.withLock { held in
            held += piece
            // The end of the line before the last one: what follows may be the last.
            guard let end = held.dropLast().lastIndex(of: 0x0a) else { return [] }
            let whole = Array(held[...end])
            held.removeFirst(end + 1)
            return whole
        }
    }

    func finish() -> (bytes: [UInt8], error: VarveError?) {
        let last = held.withLock { $0 }
        guard last.starts(with: Array(#"{"error":{"#.utf8)), let value = try? parseJSON(Bytes(last)),
            let fault = value["error"], let problem = try? Problem(json: fault)
        else { return (last, nil) }
        return ([], problem.error)
    }
}
