package proxy

import (
	"strings"
	"time"
	_ "time/tzdata" // zones by name on machines that have none

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// keyTimezone is the collection property, and the parameter of reads, that names the zone of times without an offset and
// of times that are shown.
const keyTimezone = "timezone"

// storedType is the type in which a field's values are kept, and the form if users see another one.
func storedType(t schemapb.DataType) (kept, form schema.Type) {
	switch t {
	case schemapb.DataType_Timestamptz:
		return schema.Int64, schema.Timestamptz
	case schemapb.DataType_Geometry:
		return schema.VarChar, schema.Geometry
	}
	return schema.Type(t), 0
}

// zoneOf is the zone of a collection's times: UTC unless a property says otherwise.
func zoneOf(c *catalog.Collection) *time.Location {
	if zone, err := time.LoadLocation(c.Properties[keyTimezone]); err == nil {
		return zone
	}
	return time.UTC
}

// askedZone is the zone that a read asks for, or the collection's.
func askedZone(c *catalog.Collection, params paramSet) (*time.Location, error) {
	name := params[keyTimezone]
	if name == "" {
		return zoneOf(c), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errs.Invalid("invalid timezone: %s", name)
	}
	return zone, nil
}

// storedForm is a public column with its values in the form in which they are kept.
func storedForm(f *schema.Field, d *schemapb.FieldData, zone *time.Location) (*schemapb.FieldData, error) {
	if f.Form == 0 {
		return d, nil
	}
	if t := schema.Type(d.Type); t != f.Form && t != schema.VarChar && d.Type != schemapb.DataType_None {
		return nil, errs.Invalid("field (%s) is of type %s, but its data is %s", f.Name, f.Form, d.Type)
	}
	kept, err := keptScalars(f, d.GetScalars(), d.ValidData, zone)
	if err != nil {
		return nil, err
	}
	return &schemapb.FieldData{
		Type: schemapb.DataType(f.Type), FieldName: d.FieldName, ValidData: d.ValidData,
		Field: &schemapb.FieldData_Scalars{Scalars: kept},
	}, nil
}

// keptScalars translates values. Where there is none, in data of full length, stands an empty text.
func keptScalars(f *schema.Field, s *schemapb.ScalarField, valid []bool, zone *time.Location) (*schemapb.ScalarField, error) {
	var texts []string
	switch d := s.GetData().(type) {
	case nil:
		return s, nil
	case *schemapb.ScalarField_StringData:
		texts = d.StringData.GetData()
	case *schemapb.ScalarField_GeometryWktData:
		texts = d.GeometryWktData.GetData()
	case *schemapb.ScalarField_TimestamptzData:
		if f.Form == schema.Timestamptz {
			return longScalars(d.TimestamptzData.GetData()), nil
		}
	case *schemapb.ScalarField_LongData:
		if f.Form == schema.Timestamptz {
			return s, nil
		}
	case *schemapb.ScalarField_GeometryData:
		return nil, notBuilt("WKB as the form of a geometry")
	}
	missing := func(i int) bool { return len(valid) == len(texts) && !valid[i] }
	if f.Form == schema.Geometry {
		for i, text := range texts {
			if !missing(i) && !validWKT(text) {
				return nil, errs.Invalid("field %s row %d is no valid WKT: %s", f.Name, i, clip([]byte(text)))
			}
		}
		return &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: texts}}}, nil
	}
	micros := make([]int64, len(texts))
	for i, text := range texts {
		if missing(i) {
			continue
		}
		var err error
		if micros[i], err = schema.ParseTime(text, zone); err != nil {
			return nil, errs.Invalid("%v", err)
		}
	}
	return longScalars(micros), nil
}

func longScalars(v []int64) *schemapb.ScalarField {
	return &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: v}}}
}

// shownForm puts a public column of kept values into the form that users see.
func shownForm(f *schema.Field, d *schemapb.FieldData, zone *time.Location) *schemapb.FieldData {
	switch f.Form {
	case schema.Timestamptz:
		micros := d.GetScalars().GetLongData().GetData()
		texts := make([]string, len(micros))
		for i, v := range micros {
			if i >= len(d.ValidData) || d.ValidData[i] {
				texts[i] = schema.ShowTime(v, zone)
			}
		}
		d.Field = &schemapb.FieldData_Scalars{Scalars: &schemapb.ScalarField{
			Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: texts}},
		}}
	case schema.Geometry:
		texts := d.GetScalars().GetStringData().GetData()
		d.Field = &schemapb.FieldData_Scalars{Scalars: &schemapb.ScalarField{
			Data: &schemapb.ScalarField_GeometryWktData{GeometryWktData: &schemapb.GeometryWktArray{Data: texts}},
		}}
	}
	d.Type = schemapb.DataType(f.Shown())
	return d
}

// keptDefault is a default value in the form in which values are kept.
func keptDefault(f *schema.Field, v *schemapb.ValueField) (*schemapb.ValueField, error) {
	switch d := v.GetData().(type) {
	case *schemapb.ValueField_StringData:
		if f.Form == schema.Timestamptz {
			micros, err := schema.ParseTime(d.StringData, time.UTC)
			if err != nil {
				return nil, errs.Invalid("%v", err)
			}
			return &schemapb.ValueField{Data: &schemapb.ValueField_LongData{LongData: micros}}, nil
		}
		if f.Form == schema.Geometry && !validWKT(d.StringData) {
			return nil, errs.Invalid("the default value of field %s is no valid WKT: %s", f.Name, d.StringData)
		}
	case *schemapb.ValueField_TimestamptzData:
		if f.Form == schema.Timestamptz {
			return &schemapb.ValueField{Data: &schemapb.ValueField_LongData{LongData: d.TimestamptzData}}, nil
		}
	}
	return v, nil
}

// validWKT tells text that is the shape of a WKT geometry.
func validWKT(text string) bool {
	rest, ok := wktShape(strings.TrimSpace(text), 0)
	return ok && strings.TrimSpace(rest) == ""
}
