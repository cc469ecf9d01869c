// The series that a segmentation was drawn on, and the one that is shown.

const named = (uid, displaySet) => ({
  SeriesInstanceUID: uid,
  name: `series ${displaySet?.SeriesDescription || displaySet?.SeriesNumber || uid}`,
});

/** The series of a segmentation: its SeriesInstanceUID, and what a reader knows it by. */
export function belongsTo(segmentation, {displaySetService}) {
  const {referencedImageId} = cornerstone.cache.getImage(segmentation.representationData.Labelmap.imageIds[0]);
  const {seriesInstanceUID} = cornerstone.metaData.get('generalSeriesModule', referencedImageId);
  const of = ({SeriesInstanceUID}) => SeriesInstanceUID === seriesInstanceUID;
  return named(seriesInstanceUID, displaySetService.getActiveDisplaySets().find(of));
}

/** The series in the active viewport, likewise. */
export function shown({viewportGridService, displaySetService}) {
  const {viewports, activeViewportId} = viewportGridService.getState();
  const displaySet = displaySetService.getDisplaySetByUID(viewports.get(activeViewportId).displaySetInstanceUIDs[0]);
  return named(displaySet.SeriesInstanceUID, displaySet);
}
