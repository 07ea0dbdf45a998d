/// The record that this process is executing for a command, `none` between two: what its last words name should the record
/// end it.

package import Synchronization
package import VarveModel

package enum RecordInHand {
    package static let none = Int64.min
    package static let packed = Atomic<Int64>(none)

    package static func during<R>(
        _ position: Position, _ body: () throws(VarveError) -> R
    ) throws(VarveError) -> R {
        packed.store(position.packed, ordering: .relaxed)
        defer { packed.store(none, ordering: .relaxed) }
        return try body()
    }
}
