/// What heartbeats say of a migration: one node's proposal, the others' answers.

package import VarveModel

extension Heartbeat {
    /// "I want to end this epoch and go on there."
    package struct Proposal: Sendable, Equatable {
        package var id: Bytes16
        package var epoch: Epoch
        /// With genesis id and offset, which stand there already.
        package var log: LogReference

        package init(id: Bytes16, epoch: Epoch, log: LogReference) {
            self.id = id
            self.epoch = epoch
            self.log = log
        }

        /// `[id, seal]`: the bytes of the seal that would be appended.
        func encode(to writer: inout CBORWriter) {
            writer.array(2)
            writer.byteString(id)
            writer.byteString(Seal(next: epoch, log: log).encoded())
        }

        static func decode(_ reader: inout CBORReader) throws(CBORFault) -> Proposal {
            guard try reader.array() == 2 else { throw reader.fault("no proposal") }
            let id = try reader.bytes16()
            let seal = try Seal.decode(try reader.byteString())
            return Proposal(id: id, epoch: seal.next, log: seal.log)
        }
    }

    package struct Confirmation: Sendable, Equatable {
        /// Of the proposal.
        package var id: Bytes16
        /// nil: this node can follow.
        package var problem: String?

        package init(id: Bytes16, problem: String?) {
            self.id = id
            self.problem = problem
        }

        /// `[id, problem or null]`
        func encode(to writer: inout CBORWriter) {
            writer.array(2)
            writer.byteString(id)
            if let problem { writer.text(problem) } else { writer.null() }
        }

        static func decode(_ reader: inout CBORReader) throws(CBORFault) -> Confirmation {
            guard try reader.array() == 2 else { throw reader.fault("no confirmation") }
            let id = try reader.bytes16()
            if try reader.peek() == .simple {
                guard try reader.simple() == .null else { throw reader.fault("no confirmation") }
                return Confirmation(id: id, problem: nil)
            }
            return Confirmation(id: id, problem: try reader.text())
        }
    }
}
