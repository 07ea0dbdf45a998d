/// Records that came together. Their values lie behind one another in one allocation: one for each record is what reading
/// small records costs most by.
package struct RdKafkaRecords: Sendable {
    /// One record; its value is `values[lower..<upper]` (a null value is empty).
    package struct Place: Sendable {
        package let offset: Int64
        package let time: RdKafkaTime
        let lower: UInt32
        let upper: UInt32

        package var range: Range<Int> { Int(lower)..<Int(upper) }
    }

    package let values: [UInt8]
    /// At least one, offsets rising, perhaps with holes.
    package let places: [Place]
    /// What the reader's clock showed after the last of them was fetched.
    package let stamp: UInt64

    /// The record with a value of its own: for what outlives the others.
    package func record(_ place: Place) -> RdKafkaRecord {
        RdKafkaRecord(offset: place.offset, time: place.time, value: Array(values[place.range]))
    }

    package var all: [RdKafkaRecord] { places.map(record) }
}

extension RdKafkaRecords {
    package init(_ records: [RdKafkaRecord]) {
        var values: [UInt8] = []
        var places: [Place] = []
        for record in records {
            let lower = UInt32(values.count)
            values += record.value
            places.append(Place(offset: record.offset, time: record.time, lower: lower, upper: UInt32(values.count)))
        }
        self.init(values: values, places: places, stamp: 0)
    }
}
