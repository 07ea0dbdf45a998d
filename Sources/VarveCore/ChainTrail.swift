/// Both chains at the newest positions: what senders say they had read is compared with it.
///
/// A ring of bounded length; memory of what was applied, never part of what is decided.

package import VarveModel

package struct ChainTrail: Sendable {
    package struct Mark: Sendable, Equatable {
        package let position: Position
        /// The first 8 bytes of H and of E behind the record there, as big-endian numbers.
        package let input: UInt64
        package let effect: UInt64
    }

    /// Of some seconds at full speed, half a megabyte.
    package static let marksMax = 16_384

    private var marks: [Mark] = []
    /// Where the oldest is, once the ring is full.
    private var oldest = 0

    package init() {}

    mutating func add(_ position: Position, _ input: InputChain, _ effect: EffectChain) {
        let mark = Mark(position: position, input: input.value.first.high, effect: effect.value.high)
        if marks.count < Self.marksMax {
            marks.append(mark)
        } else {
            marks[oldest] = mark
            oldest = oldest + 1 == Self.marksMax ? 0 : oldest + 1
        }
    }

    /// The last record that was applied; nil before the first.
    package var newest: Position? {
        marks.isEmpty ? nil : marks[oldest == 0 ? marks.count - 1 : oldest - 1].position
    }

    /// nil when the position was not applied here, or is forgotten.
    package subscript(position: Position) -> Mark? {
        var low = 0
        var high = marks.count
        while low < high {
            let middle = (low + high) / 2
            let mark = marks[(oldest + middle) % marks.count]
            if mark.position == position { return mark }
            if mark.position < position { low = middle + 1 } else { high = middle }
        }
        return nil
    }
}
