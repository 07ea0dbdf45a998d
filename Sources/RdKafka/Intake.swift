import CRdKafka

/// What a tail's thread has taken from librdkafka and not yet handed over: values behind one another, copied out of the
/// fetches they came in, which would otherwise stay whole for the sake of one record.
///
/// The memory is used again for every batch; a batch leaves in allocations of just its size. A record that is kept keeps
/// its batch: that bounds its size. Used by one thread.
struct Intake: ~Copyable {
    /// Most bytes and records of a batch; a larger record is a batch of its own.
    static let bytesMax = 120 << 10
    static let recordsMax = 2_048

    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Intake.bytesMax, alignment: 16)
    private var used = 0
    /// The value of a record that is larger than the memory, alone in its batch.
    private var large: [UInt8]?
    private var places: [RdKafkaRecords.Place] = []
    /// The offset wanted next.
    private(set) var position: Int64

    init(from position: Int64) {
        self.position = position
        places.reserveCapacity(Self.recordsMax)
    }

    deinit { memory.deallocate() }

    /// Whether a record may be added before the batch is taken.
    func hasRoom(for message: UnsafeMutablePointer<rd_kafka_message_t>) -> Bool {
        places.isEmpty || message.pointee.len <= Self.bytesMax - used && places.count < Self.recordsMax && large == nil
    }

    /// Copies a record in, for which there is room.
    mutating func add(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        let value = UnsafeRawBufferPointer(start: message.pointee.payload, count: message.pointee.len)
        let lower = used
        if value.count <= Self.bytesMax {
            UnsafeMutableRawBufferPointer(rebasing: memory[used...]).copyMemory(from: value)
            used += value.count
        } else {
            large = Array(value)
        }
        places.append(
            RdKafkaRecords.Place(
                offset: message.pointee.offset,
                time: RdKafkaTime(of: message) ?? RdKafkaTime(milliseconds: 0, isBrokers: false),
                lower: UInt32(lower), upper: UInt32(lower + value.count)))
        position = message.pointee.offset + 1
    }

    /// The batch, if anything is in it; then it is empty.
    mutating func take(_ stamp: UInt64) -> RdKafkaRecords? {
        guard !places.isEmpty else { return nil }
        defer {
            used = 0
            large = nil
            places.removeAll(keepingCapacity: true)
        }
        return RdKafkaRecords(values: large ?? Array(memory[..<used]), places: Array(places[...]), stamp: stamp)
    }
}
